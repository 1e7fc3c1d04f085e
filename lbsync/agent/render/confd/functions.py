"""The helper functions of confd's templates, with the meaning that Go gives them.

For people who bring their templates along: each keeps confd's name, order of arguments and result.
What would make two renders of one snapshot differ is left out, and says so when it is called.
"""

import base64
import hashlib
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateRuntimeError, TemplateSyntaxError, nodes

from lbsync.agent.render.confd import golang, gopath, regexp, sprig
from lbsync.agent.render.confd.arguments import data, refusal, whole
from lbsync.agent.render.confd.keys import Pair
from lbsync.errors import Rejected
from lbsync.schema import reading

Function = Callable[..., Any]

_NAMES_ARE_NOT_RESOLVED = (
    "is not offered: names are not resolved while rendering, because a look-up that fails would empty "
    "the server list and each answer that changes would cost a reload; "
)
_DNS = (
    f"{_NAMES_ARE_NOT_RESOLVED}write the name into the `server` line and give HAProxy a `resolvers` "
    "section, or write addresses into the store"
)
_SRV = (
    f"{_NAMES_ARE_NOT_RESOLVED}give HAProxy a `resolvers` section and a line `server-template web 10 "
    "_web._tcp.example.com resolvers NAME`, or write addresses into the store"
)
_INTERFACE = (
    "is not offered: a new address of an interface would wake nobody; listen on all addresses, or set "
    "an environment variable for the agent and read it with getenv"
)
_CRYPT = "is not offered (confd removed it too): keep secrets in files, and name the file"
_STORE = (
    "depends on the store's keys, and this text must depend on its item and the constants alone: "
    "pass what it needs in the item, or import the macro `with context`"
)
_REGEXP = frozenset({"regexMatch", "regexFind", "regexReplaceAll"})
_COMPARED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("lookupIP", "lookupIPV4", "lookupIPV6"), _DNS),
    "lookupSRV": _SRV,
    **dict.fromkeys(("lookupIfaceIPV4", "lookupIfaceIPV6"), _INTERFACE),
    **dict.fromkeys(("cget", "cgets", "cgetv", "cgetvs"), _CRYPT),
    "datetime": "is not offered: every render would differ, and each would cost a reload",
    **{name: f"is Go's: write a {sign} b" for name, sign in _COMPARED.items()},
    **dict.fromkeys(("print", "println"), "is Go's: write {{ a ~ b }}"),
    "printf": "is Go's: write '/a/%s' % name, or \"/a/\" ~ name",
    "include": 'is Go\'s: write {% include "x.j2" %}, or a macro',
    "index": "is Go's: write list[0] or table['name']",
    "len": "is Go's: write list|length",
    "slice": "is Go's: write list[1:3]",
    "urlquery": "is Go's: write value|urlencode",
}
"""Names of confd and of Go that are not offered, and what to do instead."""


def refuse_what_is_missing(tree: nodes.Template) -> None:
    """Raise `jinja2.TemplateSyntaxError` if `tree` calls what needs an extra that is not installed."""
    if regexp.AVAILABLE:
        return
    for node in tree.find_all((nodes.Name, nodes.Filter)):
        name = node.name  # type: ignore[attr-defined]
        if name in _REGEXP:
            raise TemplateSyntaxError(f"{name} {regexp.MISSING}", node.lineno)


def _refuse(name: str, reason: str) -> Function:
    def refused(*_: object, **__: object) -> NoReturn:
        raise TemplateRuntimeError(f"{name} {reason}")

    return refused


def _decoded(value: object) -> Any:
    try:
        return reading.plain(data(value))
    except reading.Unreadable as error:
        raise refusal(value, f"not JSON: {error}") from error


def _of_kind(value: object, kind: type, name: str) -> Any:
    found = _decoded(value)
    if not isinstance(found, kind):
        raise refusal(value, f"JSON, but no {name}")
    return found


def json(value: str) -> dict[str, Any]:
    """Parse a JSON object. Raises `BadKey` or `Rejected` for anything else."""
    return _of_kind(value, dict, "object")  # type: ignore[no-any-return]


def json_array(value: str) -> list[Any]:
    """Parse a JSON array. Raises `BadKey` or `Rejected` for anything else."""
    return _of_kind(value, list, "array")  # type: ignore[no-any-return]


def sort_by_length(values: Iterable[str]) -> list[str]:
    """Sort by length in bytes; texts of one length by themselves (confd leaves those to chance)."""
    return sorted(values, key=lambda value: (len(value.encode()), value))


def sort_pairs_by_length(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by the length of the key in bytes, then by the key."""
    return sorted(pairs, key=lambda pair: (len(pair.key.encode()), pair.key))


def getenv(name: str, default: str = "") -> str:
    """Return an environment variable; `default` when it is unset or empty. Constant for a process."""
    return os.environ.get(name) or default


def file_exists(path: str) -> bool:
    """Tell whether `path` exists. Raises `Rejected` when that cannot be told."""
    try:
        return Path(path).exists()
    except (OSError, ValueError) as error:
        raise Rejected(f"fileExists({path!r}): {error}") from error


def _append(values: Sequence[Any], value: object) -> list[Any]:
    return [*values, value]


def _value_first(function: Function) -> Function:
    """Return a function that takes its last argument first: what a filter is given by `|`."""

    @wraps(function)
    def filtering(value: object, *arguments: object) -> Any:
        return function(*arguments, value)

    return filtering


#: Pure functions that take the value first, as filters do.
_ON_VALUES: Mapping[str, Function] = {
    "json": json,
    "jsonArray": json_array,
    "base": lambda value: gopath.base(data(value)),
    "dir": lambda value: gopath.parent(data(value)),
    "split": golang.split,
    "trimSuffix": lambda value, suffix: data(value).removesuffix(data(suffix)),
    "trimPrefix": lambda value, prefix: data(value).removeprefix(data(prefix)),
    "contains": lambda value, part: data(part) in data(value),
    "toUpper": lambda value: data(value).upper(),
    "toLower": lambda value: data(value).lower(),
    "atoi": golang.atoi,
    "parseBool": golang.parse_bool,
    "sortByLength": sort_by_length,
    "sortKVByLength": sort_pairs_by_length,
    "base64Encode": lambda value: base64.b64encode(data(value).encode()).decode(),
    "base64Decode": golang.base64_decode,
    "sha256sum": lambda value: hashlib.sha256(data(value).encode()).hexdigest(),
    "fromJson": _decoded,
    "toJson": sprig.to_json,
    "toPrettyJson": sprig.to_pretty_json,
    "append": _append,
    "hasKey": lambda table, key: key in table,
    "keys": sorted,
    "values": lambda table: [table[key] for key in sorted(table)],
    "nospace": sprig.nospace,
    "squote": sprig.squote,
    "snakecase": sprig.snakecase,
    "camelcase": sprig.camelcase,
    "kebabcase": sprig.kebabcase,
}
#: Pure functions that take it last.
_PIPED: Mapping[str, Function] = {
    "regexMatch": sprig.regex_match,
    "regexFind": sprig.regex_find,
    "repeat": sprig.repeat,
    "nindent": sprig.nindent,
}
_OTHERS: Mapping[str, Function] = {
    "map": sprig.make_map,
    "dict": sprig.make_dict,
    "pluck": sprig.pluck,
    "replace": golang.replace,
    "regexReplaceAll": sprig.regex_replace_all,
    "quote": sprig.quote,
    "indent": sprig.indent,
    "reverse": lambda values: list(values)[::-1],
    "seq": golang.seq,
    "add": lambda left, right: whole(left) + whole(right),
    "sub": lambda left, right: whole(left) - whole(right),
    "mul": lambda left, right: whole(left) * whole(right),
    "div": golang.div,
    "mod": golang.mod,
    "getenv": getenv,
    "hostname": socket.gethostname,
    "list": lambda *values: list(values),
    "default": sprig.default,
    "ternary": sprig.ternary,
    "coalesce": sprig.coalesce,
    "empty": lambda value: not value,
}
FILTERS: Mapping[str, Function] = {
    **_ON_VALUES,
    **{name: _value_first(function) for name, function in _PIPED.items()},
}
"""What is a filter as well, with the value before the `|`."""


def functions(store_functions: Iterable[str]) -> dict[str, Function]:
    """Return all functions that do not depend on a snapshot, by the names that templates use.

    `store_functions` are the names that stand for a refusal wherever no snapshot is at hand.
    `fileExists` answers once and for all: a file that comes later is seen by the next renderer.
    """
    return {
        **{name: _refuse(name, reason) for name, reason in REFUSED.items()},
        **{name: _refuse(name, _STORE) for name in store_functions},
        **_ON_VALUES,
        **_PIPED,
        **_OTHERS,
        "fileExists": cache(file_exists),
    }
