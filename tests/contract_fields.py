"""The fields of the contract's records, walked by their types."""

from collections.abc import Iterator

from msgspec import inspect


def fields(cls: type, above: str = "") -> Iterator[tuple[str, type, inspect.Field]]:
    """Each field's dotted path, with `[]` after a list; the record that has it; the field."""
    info = inspect.type_info(cls)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        path = f"{above}{field.encode_name}"
        yield path, cls, field
        yield from _below(field.type, path)


def _below(kind: inspect.Type, path: str) -> Iterator[tuple[str, type, inspect.Field]]:
    if isinstance(kind, inspect.Metadata):
        yield from _below(kind.type, path)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            yield from _below(option, path)
    elif isinstance(kind, inspect.VarTupleType):
        yield from _below(kind.item_type, f"{path}[]")
    elif isinstance(kind, inspect.StructType):
        yield from fields(kind.cls, f"{path}.")
