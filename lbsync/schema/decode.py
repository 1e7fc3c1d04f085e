"""Bytes to records: strict, key by key, with one sentence for what is wrong."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from lbsync.errors import BadKey
from lbsync.model.record import Record
from lbsync.model.records import EndpointsRecord, GlobalRecord, RouteRecord, ServiceRecord
from lbsync.schema import consistency
from lbsync.schema.keys import Key
from lbsync.schema.sentences import sentence

R = TypeVar("R", bound=Record)

#: etcd refuses values over 1.5 MiB by default; the file source has no such limit of its own.
MAX_VALUE = 1_572_864


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


def decode(key: str, parsed: Key, value: bytes) -> Record:
    """Return the record that `value` holds. Raises `BadKey` naming key, field and cure."""
    if len(value) > MAX_VALUE:
        raise BadKey(key, f"the value has {len(value)} bytes; at most {MAX_VALUE} are read")
    kind = RECORD_OF[parsed.kind]
    try:
        record: Record = _DECODERS[kind].decode(value)
    except msgspec.ValidationError as error:
        raise BadKey(key, _on_one_line(_explained(error, kind, value))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadKey(key, _no_json(error)) from error
    except RecursionError as error:
        raise BadKey(
            key, "the value is nested too deeply; write the fields of the contract"
        ) from error
    wrong = consistency.wrong_with(record)
    if wrong:
        raise BadKey(key, wrong)
    return record


def _explained(error: msgspec.ValidationError, kind: type[Record], value: bytes) -> str:
    try:
        plain = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as worse:
        return _no_json(worse)
    return sentence(error, kind, plain, lambda raw: _convert(raw, kind))


def _no_json(error: Exception) -> str:
    return f"the value is no JSON object in UTF-8 ({error}); write one"


def _convert(raw: object, kind: type[Record]) -> Record:
    return msgspec.convert(raw, kind, dec_hook=_parse_value)


def encode(record: Record) -> bytes:
    """Return the record as JSON; `decode` of it gives an equal record."""
    return _ENCODER.encode(record)
