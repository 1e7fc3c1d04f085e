"""The functions that confd's newer releases took over from sprig; the value comes last, as there.

All are pure. They give data, which is quoted when it is printed, except that text which is
configuration already stays it when it is indented.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from lbsync.agent.render.confd import regexp
from lbsync.agent.render.confd.arguments import data, whole
from lbsync.agent.render.text import Literal, Quoted

_MOST_CHARACTERS = 1_000_000
_ESCAPES = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    '"': r"\"", "\\": r"\\",
}  # fmt: skip
#: Between two words of a name: before a capital with a small letter behind it, or none before it.
_NEW_WORD = re.compile(r"(?<=.)(?=[A-Z][a-z])|(?<=[^A-Z])(?=[A-Z])")


def regex_match(pattern: str, value: str) -> bool:
    """Tell whether `value` holds a match of the regular expression."""
    return regexp.matches(data(pattern), data(value))


def regex_find(pattern: str, value: str) -> str:
    """Return the first match in `value`; empty without one."""
    return regexp.find(data(pattern), data(value))


def regex_replace_all(pattern: str, value: str, replacement: str) -> str:
    """Replace each match in `value`; `${1}` in the replacement stands for the first group."""
    return regexp.replace_all(data(pattern), data(value), data(replacement))


def to_json(value: object) -> str:
    """JSON on one line, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def to_pretty_json(value: object) -> str:
    """JSON on several lines, indented by two spaces, keys sorted."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=2)


def repeat(count: int, value: str) -> str:
    """Return `value` that many times in a row. Raises ValueError for fewer than 0, or too many."""
    text = data(value)
    if not 0 <= whole(count) * max(1, len(text)) <= _MOST_CHARACTERS:
        raise ValueError(
            f"repeat({count}, …) makes none or more than {_MOST_CHARACTERS} characters"
        )
    return text * count


def indent(spaces: int, value: str) -> str:
    """Put spaces before each line, the first one and empty ones included. Nothing stays nothing."""
    if not value:
        return value
    margin = repeat(spaces, " ")
    if type(value) in (Quoted, Literal):
        # A line feed at the end of a block ends its last line; no line begins there.
        text = str.__str__(value).removesuffix("\n")
        return Quoted(margin + text.replace("\n", f"\n{margin}"))
    return margin + data(value).replace("\n", f"\n{margin}")


def nindent(spaces: int, value: str) -> str:
    """Begin a new line, then `indent`."""
    text = indent(spaces, value)
    return Quoted(f"\n{text}") if type(text) is Quoted else f"\n{text}"


def quote(value: str) -> str:
    """Return `value` in double quotes, escaped as Go's `%q` does."""
    return f'"{"".join(map(_escaped, data(value)))}"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def squote(value: str) -> str:
    """Return `value` in single quotes; nothing is escaped."""
    return f"'{data(value)}'"


def nospace(value: str) -> str:
    """Return `value` without white space."""
    return "".join(char for char in data(value) if not char.isspace())


def _words(value: str) -> list[str]:
    parts = re.split(r"[-_ ]+", data(value))
    return [word for part in parts for word in _NEW_WORD.sub(" ", part).split(" ") if word]


def snakecase(value: str) -> str:
    """`FirstName` to `first_name`."""
    return "_".join(_words(value)).lower()


def kebabcase(value: str) -> str:
    """`FirstName` to `first-name`."""
    return "-".join(_words(value)).lower()


def camelcase(value: str) -> str:
    """`first_name` to `firstName`."""
    return "".join(
        word.lower() if number == 0 else word.capitalize()
        for number, word in enumerate(_words(value))
    )


def make_map(*pairs: Any) -> dict[str, Any]:
    """Return a table from keys and values in turn; raises ValueError for an odd number."""
    if len(pairs) % 2:
        raise ValueError("map takes keys and values in turn, so an even number of arguments")
    keys = pairs[::2]
    if not all(isinstance(key, str) for key in keys):
        raise TypeError("the keys of map must be texts")
    return dict(zip(keys, pairs[1::2], strict=True))


def make_dict(*pairs: Any, **named: Any) -> dict[str, Any]:
    """`make_map`, and Jinja's own `dict(a=1)` and `dict(table)`."""
    is_one = len(pairs) == 1 and not isinstance(pairs[0], str)
    return (dict(pairs[0]) if is_one else make_map(*pairs)) | named


def pluck(key: str, *tables: Mapping[str, Any]) -> list[Any]:
    """Return what each table that has `key` has there."""
    if not all(isinstance(table, Mapping) for table in tables):
        raise TypeError("pluck takes a key and tables")
    return [table[key] for table in tables if key in table]


def default(fallback: Any, value: Any) -> Any:
    """Return `value`, or `fallback` when it is empty."""
    return value or fallback


def ternary(yes: Any, no: Any, test: object) -> Any:
    """Return `yes` or `no`."""
    return yes if test else no


def coalesce(*values: Any) -> Any:
    """Return the first that is not empty."""
    return next((value for value in values if value), values[-1] if values else "")
