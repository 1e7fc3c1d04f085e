"""Which annotation sets which field of `services/…`, read off the record itself.

A field added to `ServiceRecord` has its annotation at once: `lbsync.io/<field>` takes the whole
value (JSON where it is an object), `lbsync.io/<field>-<part>` one part of it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import inspect

from lbsync.model.records import ServiceRecord
from lbsync.schema import reading

Kind = Literal["text", "number", "switch", "list", "map", "object", "switch or object"]
Path = tuple[str, ...]

_NOT_SAID = frozenset({"source"})
_PART_OF = {"timeouts": "timeout"}
_NUMBER = re.compile(r"-?[0-9]{1,15}\Z")


class Field(msgspec.Struct, frozen=True):
    """One annotation and the field that it sets."""

    name: str
    """Without the prefix: `check-path`."""
    path: Path
    kind: Kind


def _options(kind: inspect.Type) -> list[inspect.Type]:
    """Return the types that a value may have; "left out" is none of them."""
    return list(kind.types) if isinstance(kind, inspect.UnionType) else [kind]


def _kind(options: list[inspect.Type]) -> Kind:
    of: dict[type[inspect.Type], Kind] = {
        inspect.StructType: "object",
        inspect.DictType: "map",
        inspect.VarTupleType: "list",
        inspect.ListType: "list",
        inspect.BoolType: "switch",
        inspect.IntType: "number",
    }
    found: set[Kind] = set()
    for option in options:
        if isinstance(option, inspect.CustomType) and issubclass(option.cls, tuple):
            found.add("list")
        else:
            found.add(of.get(type(option), "text"))
    if found == {"switch", "object"}:
        return "switch or object"
    if all(
        isinstance(option, inspect.LiteralType) and isinstance(option.values[0], int)
        for option in options
    ):
        return "number"
    return found.pop() if len(found) == 1 else "text"


def _fields(struct: type[Any], above: Path = (), prefix: str = "") -> Iterator[Field]:
    for field in msgspec.structs.fields(struct):
        name, path = field.encode_name, (*above, field.encode_name)
        if path[0] in _NOT_SAID:
            continue
        options = _options(inspect.type_info(field.type))
        shown = (prefix + name).replace("_", "-")
        yield Field(shown, path, _kind(options))
        for option in options:
            if isinstance(option, inspect.StructType):
                yield from _fields(option.cls, path, f"{prefix}{_PART_OF.get(name, name)}-")


FIELDS: dict[str, Field] = {field.name: field for field in _fields(ServiceRecord)}
"""By annotation name, without the prefix."""


def read_switch(text: str) -> bool:
    """Read true or false. Raises ValueError."""
    value = {"true": True, "false": False}.get(text.strip().lower())
    if value is None:
        raise ValueError("it is neither true nor false: write one of these")
    return value


def read_number(text: str) -> int:
    """Read a whole number. Raises ValueError."""
    if not _NUMBER.match(text.strip()):
        raise ValueError("it is no whole number: write digits only")
    return int(text)


def _read_json(text: str, example: str) -> Any:
    try:
        return reading.plain(text)
    except reading.Unreadable as error:
        raise ValueError(f"it is no JSON ({error}): write it like {example}") from error


def _read_list(text: str) -> Any:
    if text.lstrip().startswith("["):
        return _read_json(text, '["a", "b"]')
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]


def _read_map(text: str) -> Any:
    if text.lstrip().startswith("{"):
        return _read_json(text, '{"X-Name": "value"}')
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in text.split("\n"))):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError("a line of it has no colon: write each line like X-Name: value")
        found[name.strip()] = value.strip()
    return found


def _read_object(text: str) -> Any:
    return _read_json(text, '{"field": "value"}')


def _read_switch_or_object(text: str) -> Any:
    return _read_object(text) if text.lstrip().startswith("{") else read_switch(text)


_READERS: dict[Kind, Callable[[str], Any]] = {
    "text": str.strip,
    "number": read_number,
    "switch": read_switch,
    "list": _read_list,
    "map": _read_map,
    "object": _read_object,
    "switch or object": _read_switch_or_object,
}


def read_value(kind: Kind, text: str) -> Any:
    """Turn an annotation's text into what JSON would hold. Raises ValueError with the cure."""
    return _READERS[kind](text)
