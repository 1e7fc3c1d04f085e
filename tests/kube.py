"""Reflectors for tests: their time runs fast, and they keep what they reported."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.fake_kube import ADMIN, FakeKube
from harness.fake_kube.place import locate
from lbsync.clients.kube import (
    Change,
    Client,
    ClusterConfig,
    Kind,
    Reflector,
    Timing,
)
from lbsync.clients.kube.auth import kubeconfig

#: Pauses a hundred times shorter than in production; nothing is relisted or ends by itself.
FAST = Timing(
    connect=2.0,
    read=5.0,
    page=5.0,
    watch=(60.0, 60.0),
    watch_slack=5.0,
    quiet=3600.0,
    probe=0.5,
    silent=7200.0,
    bookmarks=3600.0,
    look=0.02,
    relist=(3600.0, 3600.0),
    backoff_first=0.01,
    backoff_cap=0.04,
    settled=3600.0,
    ended_early=3600.0,
    refused=0.04,
    away_spacing=0.01,
    away_reminder=3600.0,
)


class Heard(Reflector[Any]):
    """A reflector with what it reported in `changes`."""

    def __init__(self, config: ClusterConfig, kind: Kind[Any], **options: Any) -> None:
        """`options` are those of a reflector, and times by name: `watch=(1, 1)`."""
        times = {name: options.pop(name) for name in Timing.__struct_fields__ if name in options}
        timing = msgspec.structs.replace(FAST, **times)
        self.changes: list[Change[Any]] = []
        client = Client(config, timing)
        super().__init__(client, kind, self.changes.append, timing=timing, **options)

    def names(self) -> set[str]:
        return {name for _, name in self.store}


Watching = Callable[..., Heard]
"""The fixture `watching`: starts a `Heard` and closes it."""


def config_for(fake: FakeKube, directory: Path, token: str = ADMIN) -> ClusterConfig:
    """Return the configuration of a fake, through a kubeconfig whose files are never cached."""
    return kubeconfig.load([fake.kubeconfig(directory / "kubeconfig", token=token)], every=0.0)


_VERBS = {"POST": "create", "PATCH": "patch", "PUT": "update", "DELETE": "delete"}


def asked_for(fake: FakeKube, *, namespace: str = "") -> set[tuple[str, str]]:
    """Return the pairs of verb and resource that requests came for; with `namespace`, all have to be within it."""
    found = set()
    for seen in fake.requests:
        path, _, query = seen.target.partition("?")
        place = locate(path, fake.minor)
        assert namespace in ("", place.namespace), "a Role in the namespace has to be enough"
        plural = place.resource.plural + ("/log" if place.sub == "log" else "")
        reading = "watch" if "watch=true" in query else "get" if place.name else "list"
        found.add((_VERBS.get(seen.method, reading), plural))
    return found
