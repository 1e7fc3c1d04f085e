"""What a file holds, what that means as a value, and how a file is replaced in one step."""

import functools
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from lbsync import atomic, filelock
from lbsync.clients.source import Delete, Put
from lbsync.deferred import Deferred
from lbsync.errors import Unavailable, cannot
from lbsync.schema import reading

if TYPE_CHECKING:
    import yaml
else:
    yaml = Deferred("yaml")  # 25 ms, and many stores are JSON

_MOST_NODES = 1_000_000
_LOCK_WITHIN_S = 30.0

YAML = (".yaml", ".yml")


Names = frozenset[str] | None
"""Which entries of a watched directory matter; None: everything below it, at any depth."""


class Reading(msgspec.Struct, frozen=True):
    """Everything that was found, at one moment."""

    values: dict[str, bytes]
    unreadable: tuple[str, ...] = ()
    """Names that are no UTF-8, escaped."""
    problems: tuple[str, ...] = ()
    """Sentences about files that could not be used as they are."""


class Store(Protocol):
    """Keys kept in files."""

    path: Path

    def read(self) -> Reading:
        """Return all keys. Raises `Unavailable` (not there) or `Rejected` (cannot be parsed)."""
        ...

    def write(self, ops: Sequence[Put | Delete]) -> None:
        """Write and remove keys. Raises `Rejected` for a key that cannot be a file's name."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Keep other lbsync processes from writing meanwhile. Raises `Unavailable`, and `Conflict` when
        one does not end."""
        ...

    def folders(self) -> dict[Path, Names]:
        """Return the directories to watch, and for what in each."""
        ...


@functools.cache
def _loader() -> Any:
    """Return a safe loader that refuses a key given twice; YAML's own rule, which PyYAML lets pass."""
    # libyaml reads ten times as fast as Python; PyYAML may have been built without it.
    safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Unique(safe):  # type: ignore[misc] # which of the two it is, is known at run time
        def construct_mapping(self, node: "yaml.MappingNode", deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                        problem = f"{key.value} is given twice"
                        raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                    seen.add(key.value)
            made: dict[Any, Any] = super().construct_mapping(node, deep)
            return made

    return Unique


def parse_yaml(data: bytes) -> Any:
    """Return what YAML (or JSON) text means. Raises `ValueError` with line and reason, and nothing
    else, whatever the bytes are."""
    parsed = reading.total(lambda: _loaded(data))
    if b"&" in data and b"*" in data:
        _refuse_explosion(parsed)
    return parsed


def _loaded(data: bytes) -> Any:
    try:
        return yaml.load(data, _loader())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise reading.Unreadable(f"{line}{error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise reading.Unreadable(f"cannot be read as YAML: {reason}") from error


def _refuse_explosion(parsed: Any) -> None:
    """Raise `ValueError` when references multiply to more than anybody writes (or never end)."""
    left = _MOST_NODES
    nodes = [parsed]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            nodes.extend(node.values())
        elif isinstance(node, list):
            nodes.extend(node)
        left -= 1
        if left < 0 or len(nodes) > _MOST_NODES:
            raise ValueError(f"references add up to more than {_MOST_NODES} values")


def dump_yaml(value: Any, *, printable: bool = False) -> bytes:
    """Return a value as YAML text for people. `printable`: escape what a terminal would not show as it is."""
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True)
    if printable and not text.replace("\n", "").isprintable():
        text = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=False)
    return text.encode()


def to_value(parsed: Any) -> bytes:
    """Return what etcd would hold: a text as it stands, anything else as JSON.

    Raises `ValueError` for what JSON cannot say.
    """
    if isinstance(parsed, str):
        return parsed.encode(errors="surrogatepass")
    try:
        return msgspec.json.encode(parsed)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"cannot be written as JSON: {error}") from error


def replace_file(path: Path, data: bytes) -> None:
    """Write a file, in place of what is there, and with its mode. Raises `Unavailable`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        atomic.replace_file(path, data, mode)
    except OSError as error:
        raise Unavailable(f"{path}: {cannot('be written', error)}") from error


def locked(folder: Path) -> AbstractContextManager[object]:
    """Keep other lbsync processes from writing below `folder` meanwhile.

    Raises `Unavailable`, and `Conflict` when another one does not end.
    """
    try:
        return filelock.hold(folder, _LOCK_WITHIN_S, what="the lock for writing")
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be locked: {error.strerror or error}") from error
