"""What msgspec says of a value that does not fit, as one sentence for whoever wrote it. Pure.

The cure comes from the records themselves: the type that stands at the place, its limits, its choices.
"""

import difflib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from lbsync.model.record import Record

_PATH = re.compile(r" - at `(.*)`\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`\Z", re.DOTALL)
_OTHER = re.compile(r"Expected `([a-z| ]+)`, got `([a-z]+)`\Z")
_ENUM = re.compile(r"Invalid enum value (.*)\Z", re.DOTALL)
_RANGE = re.compile(r"Expected `int` [<>]=? -?\d+\Z")
_LENGTH = re.compile(r"Expected `(array|object|str)` of length ([<>]=) (\d+)\Z")
_ANY = "[...]"
"""msgspec's word for an entry of an object."""
_STEP = re.compile(r"\.?([^.\[\]]+)|(\[[^\]]*\])")

_WRITE = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list in [ ]",
    "object": "an object in { }",
    "null": "null",
}
_IS = {
    "int": "a number",
    "float": "a number with a fraction",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


Try = Callable[[object], object]
"""Reads what was JSON as a record. Raises `msgspec.ValidationError`."""


def sentence(
    error: msgspec.ValidationError, record: type[Record], raw: object, attempt: Try
) -> str:
    """Return `field: what is wrong, and what to write` for a value that is no `record`.

    `raw`: the value as plain JSON, `attempt`: what refused it; both to find the name of an entry,
    which msgspec does not tell.
    """
    text, place = _parts(error)
    here = _type_at(record, place)
    if place.count(_ANY) == 1:
        place = place.replace(_ANY, _name(raw, place, attempt))
    if unknown := _UNKNOWN.match(text):
        near = difflib.get_close_matches(unknown[1], _fields(here), n=1)
        cure = f"did you mean {near[0]}?" if near else "take it out"
        return f"{_join(place, unknown[1][:80])}: no such field; {cure}"
    if missing := _MISSING.match(text):
        return f"{_join(place, missing[1])}: required, but missing"
    said = _said(text, here)
    return f"{place}: {said}" if place else said


def _parts(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return what is wrong, and where."""
    text = str(error)
    match = _PATH.search(text)
    if match is None:
        return text, ""
    return text[: match.start()], match[1].rpartition("$")[2].removeprefix(".")


def _name(raw: object, place: str, attempt: Try) -> str:
    """Return which entry of the one object in `place` is wrong, by trying each alone."""
    entries: Any = raw
    for name, index in _STEP.findall(place.partition(_ANY)[0]):
        entries = entries[int(index[1:-1])] if index else entries[name]
    for name, value in (every := dict(entries)).items():
        entries.clear()
        entries[name] = value
        try:
            attempt(raw)
        except msgspec.ValidationError as error:
            if _parts(error)[1] == place:
                entries |= every
                return f".{name[:80]}"
    return _ANY


def _said(text: str, here: Any) -> str:
    if other := _OTHER.match(text):
        wanted = " or ".join(_write(name, here) for name in other[1].split(" | "))
        return f"it is {_IS.get(other[2], other[2])}: write {wanted}"
    if enum := _ENUM.match(text):
        choices = [str(choice) for choice in _choices(here)]
        return f"{enum[1][:80]} is no choice: write {_either(choices)}"
    if _RANGE.match(text):
        return f"it is out of range: write {_write('int', here)}"
    if length := _LENGTH.match(text):
        few, count = length[2] == ">=", length[3]
        what = "characters" if length[1] == "str" else "entries"
        return (
            f"it has too {'few' if few else 'many'} {what}: at {'least' if few else 'most'} {count}"
        )
    return text


def _write(name: str, here: Any) -> str:
    if name in ("str", "int") and (choices := _choices(here)):
        return _either(list(map(str, choices)))
    if name == "int" and (whole := _option(here, msgspec.inspect.IntType)):
        low = whole.ge if whole.ge is not None else whole.gt
        if low is not None and whole.le is not None:
            return f"a whole number from {low} to {whole.le}"
        if low is not None:
            return f"a whole number of at least {low}"
    return _WRITE.get(name, name)


def _either(choices: list[str]) -> str:
    return " or ".join([", ".join(choices[:-1]), choices[-1]]) if choices[1:] else "".join(choices)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _type_at(record: type[Record], place: str) -> Any:
    """Return the type that `check.path` or `servers[0]` leads to; None where that is nowhere."""
    here: Any = msgspec.inspect.type_info(record)
    for name, index in _STEP.findall(place):
        here = _inside(here, index) if index else _field(here, name)
    return here


def _inside(here: Any, index: str) -> Any:
    if index == _ANY:
        found = _option(here, msgspec.inspect.DictType)
        return found.value_type if found else None
    for option in _options(here):
        if hasattr(option, "item_type"):
            return option.item_type
    return None


def _field(here: Any, name: str) -> Any:
    found = _option(here, msgspec.inspect.StructType)
    return next((f.type for f in found.fields if f.encode_name == name), None) if found else None


def _fields(here: Any) -> list[str]:
    found = _option(here, msgspec.inspect.StructType)
    return sorted(field.encode_name for field in found.fields) if found else []


def _choices(here: Any) -> tuple[Any, ...]:
    found = _option(here, msgspec.inspect.LiteralType)
    return found.values if found else ()


def _options(here: Any) -> list[Any]:
    """Return the types a value may have; one, where it is no union."""
    return list(getattr(here, "types", (here,)))


def _option(here: Any, kind: type[Any]) -> Any:
    return next((option for option in _options(here) if isinstance(option, kind)), None)
