"""A listing goes on from the page that came too late."""

from types import SimpleNamespace
from typing import Any

import pytest

from lbsync.clients.etcd.failures import Kind, RpcFailure
from lbsync.clients.etcd.kv import Kv
from lbsync.errors import Unavailable

LATE = Unavailable("etcd does not answer")


class Scripted:
    """Connections to an etcd of five keys in pages of one; each call has its outcome."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self._outcomes = list(outcomes)
        self.asked: list[bytes] = []

    def call(self, stub: Any, request: Any) -> Any:
        self.asked.append(request.key)
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if outcome is not None:
            raise outcome
        names = [name for name in (b"/a/1", b"/a/2", b"/a/3") if name >= request.key]
        kvs = [
            SimpleNamespace(key=name, value=b"", create_revision=1, mod_revision=1, lease=0)
            for name in names[:1]
        ]
        header = SimpleNamespace(revision=9, cluster_id=1)
        return SimpleNamespace(kvs=kvs, more=len(names) > 1, header=header)


def listing(connections: Scripted) -> set[str]:
    return set(Kv(connections, "/a/", page_size=1).list().items)  # type: ignore[arg-type]


def test_one_late_page_does_not_begin_the_listing_anew() -> None:
    connections = Scripted(None, LATE, None, LATE, LATE)
    assert listing(connections) == {"1", "2", "3"}
    assert connections.asked.count(b"/a/") == 1
    assert len(connections.asked) == 6


def test_an_etcd_that_is_away_or_says_no_is_asked_once() -> None:
    no = RpcFailure("http://etcd", Kind.REFUSED, "permission denied")
    for outcomes in ((LATE,), (None, no), (None, LATE, LATE, LATE)):
        connections = Scripted(*outcomes)
        with pytest.raises(Unavailable):
            listing(connections)
        assert len(connections.asked) == len(outcomes)
