"""Open the source that the settings name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from lbsync.clients.etcd.options import EtcdOptions
from lbsync.clients.source import Source
from lbsync.errors import SettingsError
from lbsync.model.snapshot import Item


def open_source(
    spec: str, etcd: EtcdOptions, known: Callable[[], Mapping[str, Item]] = dict
) -> Source:
    """Return the source for `etcd`, or for `file:PATH`; nothing is connected or read yet.

    `known` returns keys as they were once known; files, which have no revisions, go on from theirs.
    Raises `SettingsError` when the specification or the options are wrong.
    """
    if spec == "etcd":
        from lbsync.clients.etcd.source import EtcdSource  # noqa: PLC0415 - gRPC costs 0.1 s

        return EtcdSource(etcd)
    kind, _, path = spec.partition(":")
    if kind == "file" and path:
        from lbsync.clients.files.source import FileSource  # noqa: PLC0415 - not needed for etcd

        return FileSource(Path(path), known())
    raise SettingsError([f"source {spec!r}: write etcd, or file:PATH"])
