"""One raw value to its type, or a sentence about it."""

import re
import types
import typing
from typing import Any

import msgspec

from lbsync.settings.read import Given
from lbsync.values.basic import Command, Duration, FilePath, SourceSpec

_PLAIN = {
    "int": "a whole number",
    "str": "a string in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "float": "a number with a point",
    "null": "nothing",
}
_EXPECTED = re.compile(r"Expected `([a-z]+)(?: \| null)?`, got `([a-z]+)`\Z")
_LENGTH = re.compile(r"Expected `array` of length >= 1\Z")
_AT = re.compile(r" - at `\$(.*)`\Z")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def bare(kind: Any) -> Any:
    """Return the type without its annotations and without `| None`."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(option for option in typing.get_args(kind) if option is not types.NoneType)
    return kind


def meta(kind: Any) -> msgspec.Meta:
    """Return what a field says about itself."""
    found = [note for note in getattr(kind, "__metadata__", ()) if isinstance(note, msgspec.Meta)]
    return found[-1] if found else msgspec.Meta()


def is_optional(kind: Any) -> bool:
    """Tell whether the field may be empty."""
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind
    return types.NoneType in typing.get_args(inner)


def convert(given: Given, kind: Any) -> Any:
    """Return the value as `kind`. Raises ValueError with one sentence, without the place."""
    raw = given.value
    if raw == "" and is_optional(kind):
        return None
    if given.is_text:
        raw = _from_text(str(raw), bare(kind))

    def parse(wanted: type[Any], value: object) -> object:
        found: object = wanted.parse(value)
        if isinstance(found, (FilePath, SourceSpec)):
            return found.anchored(given.base)
        return found

    try:
        value = msgspec.convert(raw, kind, dec_hook=parse)
    except msgspec.ValidationError as error:
        sentence = _sentence(str(error), raw, bare(kind))
        cure = (meta(kind).extra or {}).get("cure") if isinstance(raw, (bool, str)) else None
        raise ValueError(f"{sentence}: {cure}" if cure else sentence) from error
    _check_range(value, meta(kind).extra or {})
    return value


def _from_text(text: str, kind: Any) -> object:
    """Turn a variable's text into what TOML would have given."""
    if typing.get_origin(kind) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind is bool:
        return _TRUTH.get(text.lower(), text)
    if kind is int and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return list(Command.parse(text)) if kind is Command else text


def _check_range(value: object, limits: dict[str, Any]) -> None:
    if not isinstance(value, Duration):
        return
    if "min" in limits and value < Duration.parse(limits["min"]):
        raise ValueError(f"{value} is too short: at least {limits['min']}")
    if "max" in limits and value > Duration.parse(limits["max"]):
        raise ValueError(f"{value} is too long: at most {limits['max']}")


def _sentence(text: str, raw: object, kind: Any) -> str:
    """Turn msgspec's message into one for an operator."""
    place = ""
    if match := _AT.search(text):
        text, place = text[: match.start()], match[1]
    if wrong := _EXPECTED.match(text):
        expected, got = (_PLAIN.get(word, word) for word in wrong.groups())
        text = f"{expected} is expected, this is {got}"
    elif text.startswith("Invalid enum value"):
        choices = ", ".join(str(choice) for choice in typing.get_args(kind))
        text = f"{raw!r} is none of {choices}"
    elif _LENGTH.match(text):
        text = "it is empty: name at least one"
    elif "matching regex" in text:
        text = f"{raw!r} does not have the form {text.partition('regex ')[2].strip('`')}"
    elif text.startswith("Expected `"):
        text = f"{raw!r} is out of range: {text.removeprefix('Expected ').replace('`', '')} is expected"
    return f"entry {place.strip('[]')}: {text}" if re.fullmatch(r"\[\d+\]", place) else text
