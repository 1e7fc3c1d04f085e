"""The one door from bytes that somebody else wrote to values: all that comes out of it is a value, or
`Unreadable` with one sentence. Pure.

A store is shared. Whatever one writer puts into a key, a record or a file concerns that key, record or
file alone, so nothing else may be raised here, however odd the bytes are: too deep for the parser,
half a character, a number without end, a fault of our own in explaining what is wrong with them.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from lbsync.decoders import decode

T = TypeVar("T")

MAX_DEPTH = 100
"""Lists and objects within each other in a value without a record. What is deeper may be read in one
place and be too deep for the stack in another."""
_MAX_SENTENCE = 500
MAX_TOLD_TEXT = 2000
"""Characters of one text that agents and publishers tell each other."""
MAX_TOLD_ITEMS = 5000
"""Entries of one list or object that they tell each other."""
_TOO_DEEP = "it is nested too deeply; write fewer lists and objects within each other"


class Unreadable(ValueError):
    """Raised for bytes that are no value of the kind that was asked for. Says what is wrong, on one
    printable line of at most 500 characters."""


def one_line(text: str, most: int = _MAX_SENTENCE) -> str:
    """Return foreign text cut short, with what cannot be seen escaped."""
    cut = text if len(text) <= most else f"{text[:most]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


def total(read: Callable[[], T]) -> T:
    """Return what `read` returns; whatever it raises becomes `Unreadable`."""
    try:
        return read()
    except Unreadable as error:
        raise Unreadable(one_line(str(error))) from error.__cause__
    except RecursionError as error:
        raise Unreadable(_TOO_DEEP) from error
    except (ValueError, TypeError) as error:
        raise Unreadable(one_line(f"it is no JSON that can be read ({error})")) from error
    except (
        Exception
    ) as error:  # the door is total: what nobody foresaw is a fault of one value, too
        name = type(error).__name__
        raise Unreadable(one_line(f"it cannot be read ({name}: {error})")) from error


def record(value: bytes, kind: type[T]) -> T:
    """Return the value as `kind`. Raises `Unreadable`."""
    return total(lambda: decode(value, kind))


def bounded(found: T) -> T:
    """Return a record for people to read: each text on one printable line of at most about
    `MAX_TOLD_TEXT` characters, each list and object with at most `MAX_TOLD_ITEMS` entries.

    Whoever may write such a record may write one of a megabyte, or one that clears the screen.
    """
    return cast(T, _bounded(found))


def _bounded(found: object) -> object:
    if isinstance(found, str):
        return one_line(found, MAX_TOLD_TEXT)
    if isinstance(found, dict):
        first = islice(found.items(), MAX_TOLD_ITEMS)
        return {_bounded(name): _bounded(value) for name, value in first}
    if isinstance(found, tuple):
        return tuple(map(_bounded, found[:MAX_TOLD_ITEMS]))
    if isinstance(found, msgspec.Struct):
        fields = {name: getattr(found, name) for name in found.__struct_fields__}
        return msgspec.structs.replace(found, **{n: _bounded(value) for n, value in fields.items()})
    return found


def plain(value: bytes | str) -> Any:
    """Return what JSON says, in Python's own types. Raises `Unreadable`, also for a depth beyond
    `MAX_DEPTH`."""
    return total(lambda: _shallow(msgspec.json.decode(value), value))


def _shallow(found: Any, text: bytes | str) -> Any:
    openings = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, openings)) > MAX_DEPTH and not is_shallow(found):  # type: ignore[arg-type]
        raise Unreadable(_TOO_DEEP)
    return found


def is_shallow(value: object) -> bool:
    """Tell whether lists and objects are at most `MAX_DEPTH` deep within each other."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return True
    return False


def _within(value: object) -> Sequence[object]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [inner for inner in found if isinstance(inner, (dict, list))]


def strict(value: bytes) -> Any:
    """Return what JSON says where every name is given once; numbers beyond 64 bits only roughly.

    Raises `Unreadable`. RFC 8259 leaves open what a name means that is given twice, and readers
    differ: nobody can tell which of the two was meant.
    """
    return total(lambda: _STRICT.decode(value.decode()))


def refuse_repeated_names(value: bytes) -> None:
    """Raise `Unreadable` where `strict` does, of what has been read as JSON; nearly always at a fifth of the cost.

    Where nothing is escaped, quotes are what texts begin and end with, and a name that is given twice takes its
    own along when the second one replaces it.
    """
    if b"\\" not in value:
        with suppress(msgspec.MsgspecError, UnicodeError, RecursionError):
            once = msgspec.json.encode(msgspec.json.decode(value))
            if once.count(b'"') == value.count(b'"'):
                return
    strict(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Unreadable(f"{name[:80]}: it is given twice; keep one of them")
            seen.add(name)
    return found


def _whole(digits: str) -> int:
    # Python refuses to read thousands of digits; any number this large is out of every range.
    return int(digits[:40])


def _no_number(word: str) -> Any:
    raise Unreadable(f"it is no JSON that can be read ({word} is no number of JSON)")


_STRICT = json.JSONDecoder(object_pairs_hook=_once, parse_int=_whole, parse_constant=_no_number)
