"""Bytes to records: strict, key by key, with one sentence for what is wrong."""

import difflib
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from lbsync.errors import BadKey
from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, GlobalRecord, RouteRecord, ServiceRecord
from lbsync.schema import consistency
from lbsync.schema.keys import Key

R = TypeVar("R", bound=Record)

#: etcd refuses values over 1.5 MiB by default; the file source has no such limit of its own.
MAX_VALUE = 1_572_864
_PATH = re.compile(r" - at `(.*)`\Z", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`\Z", re.DOTALL)


def _parse_value(kind: type[Any], raw: object) -> object:
    parse: Callable[[object], object] = kind.parse
    return parse(raw)


def _encode_value(value: object) -> object:
    if isinstance(value, str):
        return str.__str__(value)
    return str(value)


_DECODERS: dict[type[Record], msgspec.json.Decoder[Any]] = {
    record: msgspec.json.Decoder(record, dec_hook=_parse_value)
    for record in (ServiceRecord, EndpointsRecord, RouteRecord, GlobalRecord)
}
_ENCODER = msgspec.json.Encoder(enc_hook=_encode_value)
RECORD_OF: dict[str, type[Record]] = {
    "services": ServiceRecord,
    "endpoints": EndpointsRecord,
    "routes": RouteRecord,
    "settings": GlobalRecord,
}


def _on_one_line(text: str) -> str:
    """Return `text` with what cannot be seen escaped: names of fields come from outside, too."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _sentence(error: msgspec.ValidationError, record: type[Record]) -> str:
    """Turn msgspec's message into "field: what is wrong"."""
    text = str(error)
    place = ""
    if match := _PATH.search(text):
        place = match[1].rpartition("$")[2].removeprefix(".")
        text = text[: match.start()]
    if unknown := _UNKNOWN.match(text):
        near = difflib.get_close_matches(unknown[1], _fields_at(record, place), n=1)
        cure = f"did you mean {near[0]}?" if near else "take it out"
        return f"{_join(place, unknown[1][:80])}: no such field; {cure}"
    if text.startswith("Object missing required field"):
        return f"{_join(place, text.partition('`')[2].rstrip('`'))}: required, but missing"
    return f"{place}: {text}" if place else text


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _fields_at(record: type[Record], place: str) -> list[str]:
    """Return the field names of the struct that `place` (`check`, `servers[0]`) leads to."""
    here: Any = msgspec.inspect.type_info(record)
    for step in filter(None, re.split(r"[.\[]", place)):
        here = _below(here, step)
    return sorted(f.encode_name for f in here.fields) if hasattr(here, "fields") else []


def _below(here: Any, step: str) -> Any:
    if hasattr(here, "fields"):
        here = next((f.type for f in here.fields if f.encode_name == step), None)
    elif hasattr(here, "item_type"):
        here = here.item_type
    for option in getattr(here, "types", ()):
        if hasattr(option, "fields"):
            return option
    return here


def decode(key: str, parsed: Key, value: bytes) -> Record:
    """Return the record that `value` holds. Raises `BadKey` naming key, field and cure."""
    if len(value) > MAX_VALUE:
        raise BadKey(key, f"the value has {len(value)} bytes; at most {MAX_VALUE} are read")
    kind = RECORD_OF[parsed.kind]
    try:
        record: Record = _DECODERS[kind].decode(value)
    except msgspec.ValidationError as error:
        raise BadKey(key, _on_one_line(_sentence(error, kind))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadKey(key, f"the value is no JSON object in UTF-8 ({error}); write one") from error
    except RecursionError as error:
        raise BadKey(
            key, "the value is nested too deeply; write the fields of the contract"
        ) from error
    wrong = consistency.wrong_with(record)
    if wrong:
        raise BadKey(key, wrong)
    return record


def encode(record: Record) -> bytes:
    """Return the record as JSON; `decode` of it gives an equal record."""
    return _ENCODER.encode(record)
