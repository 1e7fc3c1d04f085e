"""The helper functions of confd's templates, with the meaning that Go gives them.

For people who bring their templates along: each keeps confd's name, order of arguments and result.
What would make two renders of one snapshot differ is left out, and says so when it is called.
"""

import base64
import binascii
import hashlib
import json as standard_json
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from jinja2 import TemplateRuntimeError

from lbsync.agent.render import gopath
from lbsync.agent.render.keys import Pair
from lbsync.agent.render.text import Quoted, Stored, plain
from lbsync.errors import BadKey, Rejected

Function = Callable[..., Any]

_WHOLE = re.compile(r"[+-]?[0-9]+").fullmatch
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_MOST = 100_000
"""Longest sequence; the sandbox's own limit for `range`."""

_DNS = (
    "is not offered: its answer can change between two renders of the same keys, and a failed "
    "look-up would empty the server list; write the name into the server line and give HAProxy a "
    "`resolvers` section, or put the addresses into the store"
)
_CRYPT = "is not offered (confd removed it too): keep secrets in files, and name the file"
_REGEX = "is not offered: Go's and Python's regular expressions differ; decide it where the key is written"
_STORE = (
    "depends on the store's keys, and this text must depend on its item and the constants alone: "
    "pass what it needs in the item, or import the macro `with context`"
)
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("lookupIP", "lookupIPV4", "lookupIPV6", "lookupSRV"), _DNS),
    **dict.fromkeys(("lookupIfaceIPV4", "lookupIfaceIPV6"), _DNS),
    **dict.fromkeys(("cget", "cgets", "cgetv", "cgetvs"), _CRYPT),
    **dict.fromkeys(("regexMatch", "regexFind", "regexReplaceAll"), _REGEX),
    "datetime": "is not offered: every render would differ, and each would cost a reload",
    "printf": "is Go's: write '/a/%s' % name, or \"/a/\" ~ name",
    "index": "is Go's: write list[0] or table['name']",
    "len": "is Go's: write list|length",
}
"""Names of confd and of Go that are not offered, and what to do instead."""


def _refuse(name: str, reason: str) -> Function:
    def refused(*_: object, **__: object) -> NoReturn:
        raise TemplateRuntimeError(f"{name} {reason}")

    return refused


def _text(value: object) -> str:
    if type(value) is Quoted:
        raise TypeError("text that is quoted already cannot be changed; apply this to the value")
    return plain(value)


def _refusal(value: object, reason: str) -> Rejected:
    """Blame the key that `value` was read from, as far as it is known."""
    return BadKey(value.key, reason) if isinstance(value, Stored) else Rejected(reason)


def _decoded(value: object) -> Any:
    try:
        return msgspec.json.decode(_text(value))
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise _refusal(value, f"not JSON: {error}") from error


def _of_kind(value: object, kind: type, name: str) -> Any:
    found = _decoded(value)
    if not isinstance(found, kind):
        raise _refusal(value, f"JSON, but no {name}")
    return found


def json(value: str) -> dict[str, Any]:
    """Parse a JSON object. Raises `BadKey` or `Rejected` for anything else."""
    return _of_kind(value, dict, "object")  # type: ignore[no-any-return]


def json_array(value: str) -> list[Any]:
    """Parse a JSON array. Raises `BadKey` or `Rejected` for anything else."""
    return _of_kind(value, list, "array")  # type: ignore[no-any-return]


def make_map(*pairs: Any) -> dict[str, Any]:
    """Return a table from keys and values in turn; raises ValueError for an odd number."""
    if len(pairs) % 2:
        raise ValueError("map takes keys and values in turn, so an even number of arguments")
    keys = pairs[::2]
    if not all(isinstance(key, str) for key in keys):
        raise TypeError("the keys of map must be texts")
    return dict(zip(keys, pairs[1::2], strict=True))


def split(value: str, separator: str) -> list[str]:
    """Split at each separator; into characters when it is empty. (Go: strings.Split)"""
    text = _text(value)
    return text.split(_text(separator)) if separator else list(text)


def replace(value: str, old: str, new: str, count: int = -1) -> str:
    """Replace the first `count` occurrences; all for -1, none for 0. (Go: strings.Replace)"""
    return _text(value).replace(_text(old), _text(new), count)


def atoi(value: str) -> int:
    """Return the whole number written in `value`: sign and digits, no spaces, 64 bits."""
    text = _text(value)
    number = int(text) if len(text) <= 20 and _WHOLE(text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise _refusal(value, f"{text[:40]!r} is no whole number")
    return number


def parse_bool(value: str) -> bool:
    """Return the truth value written in `value`, as Go's strconv.ParseBool reads it."""
    text = _text(value)
    if text not in _TRUE | _FALSE:
        raise _refusal(value, f"{text[:40]!r} is no truth value; write true or false")
    return text in _TRUE


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number; use atoi() on texts")
    return value


def seq(first: int, last: int) -> list[int]:
    """Return the numbers from `first` to `last`, both included; none when `first` is greater."""
    numbers = range(_whole(first), _whole(last) + 1)
    if len(numbers) > _MOST:
        raise ValueError(f"seq of {len(numbers)} numbers; at most {_MOST}")
    return list(numbers)


def div(dividend: int, divisor: int) -> int:
    """Divide, rounding towards zero as Go does."""
    quotient = abs(_whole(dividend)) // abs(_whole(divisor))
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


def mod(dividend: int, divisor: int) -> int:
    """Return the remainder, which has the dividend's sign as in Go."""
    return dividend - divisor * div(dividend, divisor)


def sort_by_length(values: Iterable[str]) -> list[str]:
    """Sort by length in bytes; texts of one length by themselves (confd leaves those to chance)."""
    return sorted(values, key=lambda value: (len(value.encode()), value))


def sort_pairs_by_length(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by the length of the key in bytes, then by the key."""
    return sorted(pairs, key=lambda pair: (len(pair.key.encode()), pair.key))


def base64_decode(value: str) -> str:
    """Return the text that `value` encodes. Raises `Rejected` (`BadKey`) when it does not."""
    try:
        return base64.b64decode(_text(value), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _refusal(value, "no base64 of UTF-8 text") from error


def getenv(name: str, default: str = "") -> str:
    """Return an environment variable; `default` when it is unset or empty. Constant for a process."""
    return os.environ.get(name) or default


def file_exists(path: str) -> bool:
    """Tell whether `path` exists. Raises `Rejected` when that cannot be told."""
    try:
        return Path(path).exists()
    except (OSError, ValueError) as error:
        raise Rejected(f"fileExists({path!r}): {error}") from error


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value), values[-1] if values else "")


def _to_json(value: object) -> str:
    return standard_json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _append(values: Sequence[Any], value: object) -> list[Any]:
    return [*values, value]


#: Pure functions; those of the first table are filters as well, as they take the value first.
ON_VALUES: Mapping[str, Function] = {
    "json": json,
    "jsonArray": json_array,
    "base": lambda value: gopath.base(_text(value)),
    "dir": lambda value: gopath.parent(_text(value)),
    "split": split,
    "trimSuffix": lambda value, suffix: _text(value).removesuffix(_text(suffix)),
    "trimPrefix": lambda value, prefix: _text(value).removeprefix(_text(prefix)),
    "contains": lambda value, part: _text(part) in _text(value),
    "toUpper": lambda value: _text(value).upper(),
    "toLower": lambda value: _text(value).lower(),
    "atoi": atoi,
    "parseBool": parse_bool,
    "sortByLength": sort_by_length,
    "sortKVByLength": sort_pairs_by_length,
    "base64Encode": lambda value: base64.b64encode(_text(value).encode()).decode(),
    "base64Decode": base64_decode,
    "sha256sum": lambda value: hashlib.sha256(_text(value).encode()).hexdigest(),
    "fromJson": _decoded,
    "toJson": _to_json,
    "append": _append,
    "hasKey": lambda table, key: key in table,
    "keys": sorted,
    "values": lambda table: [table[key] for key in sorted(table)],
}
_OTHERS: Mapping[str, Function] = {
    "map": make_map,
    "replace": replace,
    "reverse": lambda values: list(values)[::-1],
    "seq": seq,
    "add": lambda left, right: _whole(left) + _whole(right),
    "sub": lambda left, right: _whole(left) - _whole(right),
    "mul": lambda left, right: _whole(left) * _whole(right),
    "div": div,
    "mod": mod,
    "getenv": getenv,
    "hostname": socket.gethostname,
    "list": lambda *values: list(values),
    "default": lambda default, value: value or default,
    "ternary": lambda yes, no, test: yes if test else no,
    "coalesce": _coalesce,
    "empty": lambda value: not value,
}


def functions(store_functions: Iterable[str]) -> dict[str, Function]:
    """Return all functions that do not depend on a snapshot, by the names that templates use.

    `store_functions` are the names that stand for a refusal wherever no snapshot is at hand.
    `fileExists` answers once and for all: a file that comes later is seen by the next renderer.
    """
    return {
        **{name: _refuse(name, reason) for name, reason in REFUSED.items()},
        **{name: _refuse(name, _STORE) for name in store_functions},
        **ON_VALUES,
        **_OTHERS,
        "fileExists": cache(file_exists),
    }
