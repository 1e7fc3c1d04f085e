"""What is wrong with a value that is no record, as one sentence for whoever wrote it. Pure.

The value is walked along the record's types, so the place is made of the record's own names, and the
cure of what stands there: the type, its limits, its choices.
"""

import difflib
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from msgspec import inspect

from lbsync.model.record import Record

_WRITE: dict[type, str] = {
    inspect.IntType: "a whole number",
    inspect.StrType: "text in quotes",
    inspect.BoolType: "true or false",
    inspect.VarTupleType: "a list in [ ]",
    inspect.DictType: "an object in { }",
    inspect.StructType: "an object in { }",
}
_IS: dict[type, str] = {
    int: "a number",
    float: "a number with a fraction",
    str: "text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def sentence(record: type[Record], raw: object) -> str:
    """Return `field: what is wrong, and what to write` for plain JSON that is no `record`; nothing
    where no fault is found."""
    return next(sentences(record, raw), "")


def sentences(record: type[Record], raw: object) -> Iterator[str]:
    """Yield such a sentence for everything that is wrong, in the order of the text."""
    return _faults(_types_of(record), raw, "")


@cache
def _types_of(record: type[Record]) -> Any:
    """Looking a record up takes two milliseconds, and a store may be full of bad keys."""
    return inspect.type_info(record)


def _faults(here: Any, raw: object, place: str) -> Iterator[str]:
    for option in _options(here):
        if isinstance(option, inspect.AnyType):
            return
        if isinstance(option, inspect.CustomType):
            yield from _custom(option.cls, raw, place)
            return
        if isinstance(option, inspect.LiteralType) and type(raw) in map(type, option.values):
            if raw not in option.values:
                yield _at(place, f"{repr(raw)[:80]} is no choice: write {_either(option.values)}")
            return
        if (fits := _FITTING.get(type(option))) and fits[0] is type(raw):
            yield from fits[1](option, raw, place)
            return
    wanted = " or ".join(filter(None, map(_write, _options(here))))
    yield _at(place, f"it is {_IS.get(type(raw), type(raw).__name__)}: write {wanted}")


def _custom(kind: Any, raw: object, place: str) -> Iterator[str]:
    try:
        kind.parse(raw)
    except ValueError as error:
        yield _at(place, str(error))


def _struct(here: Any, raw: dict[str, object], place: str) -> Iterator[str]:
    fields = {field.encode_name: field for field in here.fields}
    for name, value in raw.items():
        if name in fields:
            yield from _faults(fields[name].type, value, _join(place, name))
        elif here.forbid_unknown_fields:
            near = _near(name[:80], tuple(fields))
            cure = f"did you mean {near}?" if near else "take it out"
            yield f"{_join(place, name[:80])}: no such field; {cure}"
    for name, field in fields.items():
        if field.required and name not in raw:
            yield f"{_join(place, name)}: required, but missing"


@lru_cache(1000)
def _near(name: str, known: tuple[str, ...]) -> str:
    return "".join(difflib.get_close_matches(name, sorted(known), n=1))


def _table(here: Any, raw: dict[str, object], place: str) -> Iterator[str]:
    yield from _length(here, len(raw), "entries", place)
    for name, value in raw.items():
        yield from _faults(here.key_type, name, place)
        yield from _faults(here.value_type, value, _join(place, name[:80]))


def _list(here: Any, raw: list[object], place: str) -> Iterator[str]:
    yield from _length(here, len(raw), "entries", place)
    for index, value in enumerate(raw):
        yield from _faults(here.item_type, value, f"{place}[{index}]")


def _text(here: Any, raw: str, place: str) -> Iterator[str]:
    yield from _length(here, len(raw), "characters", place)


def _length(here: Any, length: int, what: str, place: str) -> Iterator[str]:
    if here.min_length is not None and length < here.min_length:
        least = f"it has too few {what}: at least {here.min_length}"
        yield _at(
            place, "it is empty: write at least one, or leave it out" if not length else least
        )
    if here.max_length is not None and length > here.max_length:
        yield _at(place, f"it has too many {what}: at most {here.max_length}")


def _number(here: Any, raw: int, place: str) -> Iterator[str]:
    low, high = _limits(here)
    if (low is not None and raw < low) or (high is not None and raw > high):
        yield _at(place, f"it is out of range: write {_write(here)}")


_FITTING: dict[type, tuple[type, Any]] = {
    inspect.StructType: (dict, _struct),
    inspect.DictType: (dict, _table),
    inspect.VarTupleType: (list, _list),
    inspect.StrType: (str, _text),
    inspect.IntType: (int, _number),
    inspect.BoolType: (bool, lambda *_: ()),
}
"""The type in a record to what plain JSON gives for it, and what looks into that."""


def _limits(here: Any) -> tuple[int | None, int | None]:
    low = here.ge if here.ge is not None else None if here.gt is None else here.gt + 1
    high = here.le if here.le is not None else None if here.lt is None else here.lt - 1
    return low, high


def _write(here: Any) -> str:
    if isinstance(here, inspect.LiteralType):
        return _either(here.values)
    if isinstance(here, inspect.IntType):
        low, high = _limits(here)
        if low is not None and high is not None:
            return f"a whole number from {low} to {high}"
        if low is not None:
            return f"a whole number of at least {low}"
    return _WRITE.get(type(here), "")


def _either(choices: tuple[Any, ...]) -> str:
    words = list(map(str, choices))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if words[1:] else "".join(words)


def _at(place: str, said: str) -> str:
    return f"{place}: {said}" if place else said


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _options(here: Any) -> tuple[Any, ...]:
    """Return the types a value may have; one, where it is no union."""
    return tuple(getattr(here, "types", (here,)))
