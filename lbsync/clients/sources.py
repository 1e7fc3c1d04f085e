"""Open the source that the settings name."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from lbsync.clients.source import Source
from lbsync.model.snapshot import Item
from lbsync.schema.deploying import deploy_prefix
from lbsync.schema.health import health_prefix
from lbsync.settings import Settings


def open_source(
    settings: Settings,
    *,
    below: str = "",
    quiet: Collection[str] = (),
    known: Callable[[], Mapping[str, Item]] = dict,
    answers: bool = False,
    deployments: bool = False,
) -> Source:
    """Return the source; nothing is connected or read yet. Raises `SettingsError` when a file that the
    settings name for etcd cannot be read.

    `below`: read no more of etcd than this, which ends with `/`, under the prefix. `quiet`: see
    `EtcdSource`. `known`: returns keys as they were once known; files, which have no revisions, go on
    from theirs. `answers`: what hosts answer to watchers, which lies beside the prefix, instead;
    `deployments`: the same for what deployers keep.
    """
    if settings.source.path is not None:
        from lbsync.clients.files.source import FileSource  # noqa: PLC0415 - not needed for etcd

        return FileSource(Path(settings.source.path), known())
    from lbsync.clients.etcd.source import EtcdSource  # noqa: PLC0415 - gRPC costs 0.1 s

    prefix: str = settings.prefix
    if answers or deployments:
        prefix = health_prefix(prefix) if answers else deploy_prefix(prefix)
    return EtcdSource(settings.etcd, f"{prefix}{below}", quiet=quiet)
