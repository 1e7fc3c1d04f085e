"""Bytes to records: strict, key by key, with one sentence for what is wrong."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from lbsync.decoders import decoder
from lbsync.errors import BadKey
from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, GlobalRecord, RouteRecord, ServiceRecord
from lbsync.schema import consistency
from lbsync.schema.keys import Key
from lbsync.schema.reading import Unreadable, refuse_repeated_names, strict, total
from lbsync.schema.sentences import sentence

R = TypeVar("R", bound=Record)

#: etcd refuses values over 1.5 MiB by default; the file source has no such limit of its own.
MAX_VALUE = 1_572_864


UNEXPLAINED = "it does not fit the contract"
"""The reason of a value that nobody asked the reason of."""


def _parse_value(kind: type[Any], raw: object) -> object:
    parse: Callable[[object], object] = kind.parse
    return parse(raw)


def _encode_value(value: object) -> object:
    if isinstance(value, str):
        return str.__str__(value)
    return str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_value)
RECORD_OF: dict[str, type[Record]] = {
    "services": ServiceRecord,
    "endpoints": EndpointsRecord,
    "routes": RouteRecord,
    "settings": GlobalRecord,
}


def decode(key: str, parsed: Key, value: bytes, *, explain: bool = True) -> Record:
    """Return the record that `value` holds. Raises `BadKey` naming key, field and cure, and nothing
    else, whatever the bytes are. `explain` false: without field and cure, which takes ten times as long as
    to find that a value is bad."""
    return decode_as(RECORD_OF[parsed.kind], key, value, explain=explain)


def decode_as(kind: type[R], key: str, value: bytes, *, explain: bool = True) -> R:
    """The same for a key whose kind of record is known."""
    try:
        return total(lambda: _read(kind, value, explain=explain))
    except Unreadable as error:
        raise BadKey(key, str(error)) from error


def _read(kind: type[R], value: bytes, *, explain: bool) -> R:
    if len(value) > MAX_VALUE:
        raise Unreadable(f"the value has {len(value)} bytes; at most {MAX_VALUE} are read")
    try:
        record: R = decoder(kind, _parse_value).decode(value)
    except msgspec.ValidationError as error:
        if not explain:
            raise Unreadable(UNEXPLAINED) from error
        raise Unreadable(sentence(kind, _plain(value)) or f"it does not fit: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_json(error) from error
    refuse_repeated_names(value)
    if wrong := consistency.wrong_with(record):
        raise Unreadable(wrong)
    return record


def _plain(value: bytes) -> object:
    try:
        return strict(value)
    except Unreadable as error:
        # Of two faults the one that the parser met first was within the value; this one is graver.
        cause = error.__cause__
        raise (_no_json(cause) if isinstance(cause, ValueError) else error) from cause


def _no_json(error: Exception) -> Unreadable:
    return Unreadable(f"the value is no JSON object in UTF-8 ({error}); write one")


def encode(record: Record) -> bytes:
    """Return the record as JSON; `decode` of it gives an equal record."""
    return _ENCODER.encode(record)


def as_plain(value: object) -> Any:
    """Return records, values and what holds them in Python's own types, as their JSON would be read."""
    return msgspec.json.decode(_ENCODER.encode(value))
