"""The filters of configuration templates: Jinja's own, less those that speak HTML, plus ours.

Rule for all: data gives data (and is quoted when printed); text that is quoted already is passed
through whole or refused with a reason, never changed inside.
"""

import json
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import chain
from typing import Any

from jinja2 import Environment, TemplateRuntimeError, pass_environment
from jinja2.filters import FILTERS, make_attrgetter

from lbsync.agent.render import quoting
from lbsync.agent.render.text import Literal, Printer, Quoted, plain

Filter = Callable[..., Any]

#: Taken over from Jinja: they select, order, count or convert, and make no text of their own.
_KEPT = frozenset(
    {"abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby"}
    | {"int", "items", "last", "length", "list", "map", "max", "min", "reject", "rejectattr"}
    | {"round", "select", "selectattr", "slice", "sort", "unique", "wordcount"}
)
#: Taken over for data only.
_ON_DATA = frozenset(
    {"capitalize", "center", "filesizeformat", "format", "lower", "replace", "title", "truncate"}
    | {"upper", "urlencode", "wordwrap"}
)
#: Filters of HTML templates that would be misunderstood here, with what to write instead.
_MISLEADING = {
    "safe": "|raw prints a value without quotes",
    "striptags": "this is no HTML",
    "urlize": "this is no HTML",
    "xmlattr": "this is no HTML",
    "random": "the same input must always give the same output",
    "pprint": "print a text or a number, or use |tojson",
}


def build(printer: Printer, style: str) -> dict[str, Filter]:
    """Return the filter table for one output's `style`."""
    table: dict[str, Filter] = {name: FILTERS[name] for name in _KEPT}
    table |= {name: _data_only(name, FILTERS[name]) for name in _ON_DATA}
    table |= {name: _misleading(name, cure) for name, cure in _MISLEADING.items()}
    table |= _quoting(printer, style)
    table |= {"string": plain, "tojson": _tojson, "trim": _trim, "reverse": _reverse}
    table |= {"indent": _indent, "sum": _sum}
    return table


def _quoting(printer: Printer, style: str) -> dict[str, Filter]:
    def quote(value: object) -> Quoted:
        """Quote now what would be quoted when printed."""
        return Quoted(printer(value))

    def logformat(value: object) -> Quoted:
        """Double `%`, then quote: for arguments that HAProxy reads as a log-format."""
        _refuse_quoted("logformat", value)
        return Quoted(printer.encode(quoting.logformat(plain(value))))

    def words(value: str | Iterable[object]) -> Quoted:
        """Split at white space (or take the members of a list), quote each, join by a space."""
        if type(value) is Quoted:
            return value
        members = value.split() if isinstance(value, str) else value
        return Quoted(" ".join([printer(member) for member in members]))

    def raw(value: object) -> Quoted:
        """Print without quotes: the author vouches for the value. No control characters."""
        return value if type(value) is Quoted else Quoted(quoting.raw(plain(value)))

    def join(value: Iterable[Any], separator: str = "", attribute: object = None) -> str:
        """Join as `~` does. A separator written in the template is configuration beside quoted
        text, so that `hosts|map("quote")|join(" ")` gives separate words."""
        if attribute is not None:
            raise TypeError("join takes no attribute here; write |map(attribute=…)|join(…)")
        parts: list[object] = []
        for member in value:
            parts += (separator, member)
        return printer.join(parts[1:])

    table: dict[str, Filter] = {
        "quote": quote,
        "logformat": logformat,
        "lf": logformat,
        "words": words,
        "raw": raw,
        "join": join,
        # The name that Jinja's users know for "make this value harmless".
        "e": quote,
        "escape": quote,
        "forceescape": quote,
    }
    if style == "map":
        table["map_key"] = lambda value: Quoted(quoting.map_key(plain(value)))
        table["map_value"] = lambda value: Quoted(quoting.map_value(plain(value)))
    return table


def _refuse_quoted(name: str, *values: object) -> None:
    if any(type(value) is Quoted for value in values):
        raise TypeError(
            f"|{name} cannot change text that is quoted already; apply it to the value before"
        )


def _data_only(name: str, function: Filter) -> Filter:
    @wraps(function)  # keeps Jinja's mark for filters that want the environment first
    def data_only(*args: Any, **kwargs: Any) -> Any:
        _refuse_quoted(name, *args, *kwargs.values())
        return function(*args, **kwargs)

    return data_only


def _misleading(name: str, cure: str) -> Filter:
    def misleading(*_: object, **__: object) -> None:
        raise TemplateRuntimeError(f"|{name} is not for configuration templates: {cure}")

    return misleading


def _tojson(value: object) -> str:
    """JSON on one line, keys sorted; data, so it is quoted as one word when printed."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@pass_environment
def _sum(
    environment: Environment, values: Iterable[Any], attribute: Any = None, start: Any = 0
) -> Any:
    """Add numbers, or join lists to `start`, which Jinja's own does in quadratic time."""
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    if isinstance(start, list):
        return [*start, *chain.from_iterable(values)]
    if not isinstance(start, int | float):
        raise TypeError("sum adds numbers to a number, or lists to a list")
    return sum(values, start)


def _trim(value: str, chars: str | None = None) -> str:
    if type(value) is Quoted:
        if chars is not None:
            _refuse_quoted("trim with characters", value)
        return Quoted(str(value).strip(" \t\n"))
    return plain(value).strip(chars)


def _indent(value: str, width: int = 4, first: bool = False, blank: bool = False) -> str:
    lines = str(value).split("\n")
    margin = " " * width
    shifted = [
        margin + line if (line or blank) and (first or number) else line
        for number, line in enumerate(lines)
    ]
    text = "\n".join(shifted)
    return Quoted(text) if type(value) in (Quoted, Literal) else text


def _reverse(value: Any) -> Any:
    if isinstance(value, str):
        _refuse_quoted("reverse", value)
        return value[::-1]
    return list(value)[::-1]
