"""A directory that mirrors the keys: `services/shop/cart.yaml` is the key `services/shop/cart`.

`.json`, `.yaml` and `.yml` are not part of the key. YAML becomes JSON; any other file is taken as it
stands. Hidden files, editors' back-ups and swap files are passed over. Symbolic links are followed.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from lbsync.atomic import FileMark, mark
from lbsync.clients.files.contents import (
    YAML,
    Names,
    Reading,
    dump_yaml,
    locked,
    parse_yaml,
    replace_file,
    to_value,
)
from lbsync.clients.source import Delete, Put
from lbsync.errors import Rejected, Unavailable, cannot
from lbsync.schema import reading

_SUFFIXES = (".json", *YAML)
# A file changed twice within the clock tick of its file system looks unchanged by its times; so
# what was young when it was read is read again.
_YOUNG_NS = 2_000_000_000


class _Known(msgspec.Struct, frozen=True):
    """A file that was read before, and by what to tell that it is still the same."""

    stamp: FileMark
    value: bytes
    problem: str | None
    settled: bool


class Tree:
    """A `Store` in a directory. Remembers what it read, so that reading again is cheap."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, _Known] = {}

    def read(self) -> Reading:
        """Return all keys; a file that cannot be parsed gives its raw bytes. See `Store.read`."""
        values: dict[str, bytes] = {}
        unreadable: list[str] = []
        problems: list[str] = []
        known: dict[str, _Known] = {}
        for key, path in sorted(self.files()):
            if not _is_text(key):
                unreadable.append(os.fsencode(key).decode(errors="backslashreplace"))
                continue
            if (found := self._load(path)) is None:
                continue
            known[path] = found
            if found.problem:
                problems.append(found.problem)
            if key in values:
                # No JSON, on purpose: this key alone is refused, whatever the files hold.
                values[key] = b"more than one file holds this key; keep one of them"
                problems.append(f"{path}: another file already holds {key}; keep one of them")
            else:
                values[key] = found.value
        self._known = known
        return Reading(values, tuple(unreadable), tuple(problems))

    def write(self, ops: Sequence[Put | Delete]) -> None:
        """Write and remove keys, each file in one step. See `Store.write`.

        A new key becomes a `.json` file. One that is kept as YAML stays YAML, without its comments.
        """
        for op in ops:
            _check_name(op.key)
        present: dict[str, list[str]] = {}
        for key, path in self.files():
            present.setdefault(key, []).append(path)
        for op in ops:
            found = [Path(name) for name in sorted(present.get(op.key, ()))]
            if isinstance(op, Put):
                target = found.pop(0) if found else self.path / f"{op.key}.json"
                replace_file(target, _as_file(target, op.value))
            for other in found:
                _remove(other)

    def lock(self) -> AbstractContextManager[object]:
        """Keep other lbsync processes from writing meanwhile."""
        return locked(self.path)

    def folders(self) -> dict[Path, Names]:
        """Watch the tree, and beside it for the tree itself being exchanged."""
        path = self.path.absolute()
        return {path.parent: frozenset({path.name}), Path(os.path.realpath(path)): None}

    def files(self) -> Iterator[tuple[str, str]]:
        """Yield (key, path) of each file that counts. Raises `Unavailable`."""
        if not self.path.is_dir():
            raise Unavailable(f"{self.path}: no such directory; create it, or correct the source")
        yield from self._below(os.fspath(self.path), "", frozenset())

    def _below(
        self, folder: str, key: str, above: frozenset[tuple[int, int]]
    ) -> Iterator[tuple[str, str]]:
        try:
            status = os.stat(folder)  # noqa: PTH116 - twenty thousand Path objects cost memory
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        except OSError as error:
            raise Unavailable(f"{folder}: cannot be read: {error.strerror}") from error
        identity = (status.st_dev, status.st_ino)
        if identity in above:  # a link that leads back up
            return
        for entry in entries:
            if _ignored(entry.name):
                continue
            if entry.is_dir():
                yield from self._below(entry.path, f"{key}{entry.name}/", above | {identity})
            elif entry.is_file():
                yield key + _without_suffix(entry.name), entry.path

    def _load(self, path: str) -> _Known | None:
        """Read one file, unless it is as it was; None when it is gone again."""
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - as above
                status = os.fstat(file.fileno())
                stamp = mark(status)
                known = self._known.get(path)
                if known is not None and known.settled and known.stamp == stamp:
                    return known
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"{path}: cannot be read: {error.strerror}") from error
        settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _YOUNG_NS
        if not path.endswith(YAML):
            return _Known(stamp, data, None, settled)
        try:
            return _Known(stamp, to_value(parse_yaml(data)), None, settled)
        except ValueError as error:
            return _Known(stamp, data, f"{path}: {error}", settled)


def _ignored(name: str) -> bool:
    return name.startswith((".", "#")) or name.endswith(("~", ".swp", ".swx"))


def _without_suffix(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name, no path
    return stem if suffix in _SUFFIXES else name


def _is_text(key: str) -> bool:
    """Return False for a name that was no UTF-8; Python reads it with lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in key)


def _check_name(key: str) -> None:
    parts = key.split("/")
    if any(part in ("", ".", "..") or _ignored(part) for part in parts) or "\0" in key:
        raise Rejected(
            f"key {key!r} cannot be a file: its parts must not be empty, hidden or like a back-up"
        )


def _as_file(path: Path, value: bytes) -> bytes:
    """Return what to write so that reading it back gives `value` (for YAML: the same meaning)."""
    if path.suffix not in YAML:
        return value
    try:
        return dump_yaml(reading.plain(value))
    except reading.Unreadable:
        return value


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{path}: {cannot('be removed', error)}") from error
