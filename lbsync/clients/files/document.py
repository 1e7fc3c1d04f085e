"""One YAML or JSON file that holds all keys.

services/shop/cart: {mode: http, hosts: [shop.example.com]}
endpoints/shop/cart/:            # a name that ends with "/" holds the keys below it
  blue: {servers: [...]}
  green: {servers: [...]}
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from lbsync.clients.files.contents import (
    Names,
    Reading,
    dump_yaml,
    locked,
    parse_yaml,
    replace_file,
    to_value,
)
from lbsync.clients.source import Delete, Put
from lbsync.errors import Rejected, Unavailable
from lbsync.schema import reading


class Document:
    """A `Store` in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Reading:
        """Return all keys. A file that cannot be parsed is refused as a whole: `Rejected`."""
        values: dict[str, bytes] = {}
        problems: list[str] = []
        for key, value in self._pairs():
            if key in values:
                problems.append(f"{self.path}: {key} is given twice; keep one of them")
                values[key] = b"this key is given twice; keep one of them"
                continue
            try:
                values[key] = to_value(value)
            except ValueError as error:
                problems.append(f"{self.path}: {key}: {error}")
                values[key] = b"this value cannot be written as JSON"  # no JSON: refused by itself
        return Reading(values, (), tuple(problems))

    def write(self, ops: Sequence[Put | Delete]) -> None:
        """Write the whole file anew, in one step. Comments in YAML are lost."""
        content = dict(self._pairs())
        for op in ops:
            if isinstance(op, Put):
                content[op.key] = _parsed(op.value)
            else:
                content.pop(op.key, None)
        if self.path.suffix == ".json":
            data = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
        else:
            data = dump_yaml(content)
        replace_file(Path(os.path.realpath(self.path)), data)

    def lock(self) -> AbstractContextManager[object]:
        """Keep other lbsync processes from writing meanwhile."""
        return locked(self.path.absolute().parent)

    def folders(self) -> dict[Path, Names]:
        """Watch where the name is, and where the file is; the two differ for a symbolic link.

        A file of a Kubernetes ConfigMap leads through a link `..data`, and that is exchanged.
        """
        path, real = self.path.absolute(), Path(os.path.realpath(self.path))
        folders: dict[Path, Names] = {real.parent: frozenset({real.name})}
        folders[path.parent] = frozenset({path.name, real.name, "..data"})
        return folders

    def _load(self) -> Mapping[Any, Any]:
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise Unavailable(f"{self.path}: cannot be read: {error.strerror}") from error
        try:
            content = parse_yaml(data)
        except ValueError as error:
            raise Rejected(f"{self.path}: {error}") from error
        if content is None:
            return {}
        if not isinstance(content, Mapping):
            raise Rejected(f"{self.path}: must hold keys and their values, like `services/a/b: …`")
        return content

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        try:
            yield from pairs(self._load())
        except ValueError as error:
            raise Rejected(f"{self.path}: {error}") from error


def pairs(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each key and its value. Raises `ValueError` for a name that ends with "/" and holds no keys."""
    # Not by recursion: a file may nest deeper than the stack is.
    open_ = [("", iter(content.items()))]
    while open_:
        above, entries = open_[-1]
        for name, value in entries:
            key = f"{above}{name}".lstrip("/")
            if not key.endswith("/"):
                yield key, value
            elif isinstance(value, Mapping):
                open_.append((key, iter(value.items())))
                break
            elif value is not None:
                raise ValueError(f"{key} ends with '/', so it must hold keys")
        else:
            open_.pop()


def _parsed(value: bytes) -> Any:
    """Return what to write for a value: JSON unfolded, text as it is."""
    try:
        return reading.plain(value)
    except reading.Unreadable:
        return value.decode(errors="backslashreplace")
