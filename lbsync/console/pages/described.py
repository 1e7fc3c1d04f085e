"""OpenAPI schemas of records that lbsync's own decoder reads, generated from the records themselves. Pure.

msgspec's own generator cannot do this, because it does not know how our values are written.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, inspect

Schema = dict[str, Any]


def described(kind: type[msgspec.Struct]) -> Schema:
    """Return the schema of a record, with those within it; none may be within itself."""
    return _schema(inspect.type_info(kind))


def _schema(of: inspect.Type) -> Schema:
    if isinstance(of, inspect.Metadata):
        return _schema(of.type) | (of.extra_json_schema or {})
    for kind, make in _MADE.items():
        if isinstance(of, kind):
            return make(of)
    return {}


def _struct(of: Any) -> Schema:
    return {
        "type": "object",
        "title": of.cls.__name__,
        "description": (of.cls.__doc__ or "").strip(),
        "properties": {field.encode_name: _field(field) for field in of.fields},
        "required": [field.encode_name for field in of.fields if field.required],
        "additionalProperties": not of.forbid_unknown_fields,
    }


def _field(field: inspect.Field) -> Schema:
    schema, default = _schema(field.type), field.default
    if default in (msgspec.NODEFAULT, UNSET) or isinstance(default, msgspec.Struct):
        return schema
    plain = isinstance(field.type, (inspect.CustomType, inspect.Metadata)) and default is not None
    return schema | {"default": str(default) if plain else default}


def _union(of: Any) -> Schema:
    kinds = [each for each in of.types if type(each).__name__ != "UnsetType"]
    if len(kinds) == 1:
        return _schema(kinds[0])
    return {"anyOf": [_schema(each) for each in kinds]}


def _array(of: Any) -> Schema:
    return {"type": "array", "items": _schema(of.item_type)} | _limits(
        of, min_length="minItems", max_length="maxItems"
    )


def _integer(of: Any) -> Schema:
    return {"type": "integer"} | _limits(of, ge="minimum", le="maximum")


def _text(of: Any) -> Schema:
    return {"type": "string"} | _limits(
        of, min_length="minLength", max_length="maxLength", pattern="pattern"
    )


def _custom(of: Any) -> Schema:
    # Its rules are in the sentences that it is refused with.
    return {"type": "string", "description": (of.cls.__doc__ or "").partition("\n")[0]}


def _limits(of: Any, **names: str) -> Schema:
    return {
        name: value for field, name in names.items() if (value := getattr(of, field)) is not None
    }


_MADE: dict[type, Callable[[Any], Schema]] = {
    inspect.StructType: _struct,
    inspect.UnionType: _union,
    inspect.VarTupleType: _array,
    inspect.ListType: _array,
    inspect.IntType: _integer,
    inspect.StrType: _text,
    inspect.CustomType: _custom,
    inspect.BoolType: lambda _: {"type": "boolean"},
    inspect.DictType: lambda _: {"type": "object"},
    inspect.LiteralType: lambda of: {"enum": list(of.values)},
}
