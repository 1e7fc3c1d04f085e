"""Who did what is noted with the change, bounded, and never in its way."""

from collections.abc import Sequence

import pytest

from lbsync.clients.source import Delete, Expect, Guard, Put
from lbsync.errors import Conflict, Unavailable
from lbsync.fleet import history
from lbsync.model.orders import HistoryRecord
from lbsync.schema import orders
from lbsync.schema.decode import encode
from tests.fakes import FakeSource


class Restricted(FakeSource):
    """An etcd that lets this user write below some folders alone."""

    def __init__(self, *folders: str) -> None:
        super().__init__()
        self._folders = folders

    def commit(self, expect: Sequence[Guard], ops: Sequence[Put | Delete]) -> int:
        if not all(op.key.startswith(self._folders) for op in ops):
            raise Unavailable("etcd refused: permission denied")
        return super().commit(expect, ops)


def written(source: FakeSource) -> set[str]:
    return {key.partition("/")[0] for key in source.snapshot().items}


def test_an_entry_comes_with_its_change_and_the_oldest_go() -> None:
    source = FakeSource()
    for number in range(history.MOST + 5):
        key = f"history/2026-01-01T00:00:00.{number:03}Z-aaaaaa"
        source.put(key, encode(HistoryRecord("", "ann", "drain", str(number))))
    history.commit(
        source, [], [Put("services/a/b", b"{}")],
        history.entry(source, "ann\non pc", "service put", "a/b", "x" * 5000),
    )  # fmt: skip
    found = orders.history(source.below("history/"))
    assert len(found) == history.MOST
    assert (found[0].what, found[-1].by, found[-1].what) == ("6", "ann\\non pc", "a/b")
    assert len(found[-1].detail) < 320


def test_what_cannot_be_read_is_left_out() -> None:
    source = FakeSource()
    source.put("history/a", b"{")
    source.put("history/b", encode(HistoryRecord("", "a\x1b[2J", "x" * 5000)))
    (only,) = orders.history(source.below("history/"))
    assert (only.by, len(only.action) < 2100) == ("a\\x1b[2J", True)


@pytest.mark.parametrize(
    "allowed",
    [("services",), ("services", "history"), ("services", "confirmations"),
     ("services", "confirmations", "history")],
)  # fmt: skip
def test_the_change_is_written_with_as_much_as_one_may(allowed: tuple[str, ...]) -> None:
    source = Restricted(*(f"{folder}/" for folder in allowed))
    noted = history.entry(source, "ann", "service put")
    confirmed = [Put("confirmations/a", b"{}")]
    history.commit(source, [], [Put("services/a/b", b"{}")], confirmed, noted)
    assert written(source) == set(allowed)


def test_other_faults_are_raised_as_they_are() -> None:
    with pytest.raises(Unavailable):
        history.commit(
            Restricted("history/"), [], [Put("services/a/b", b"")], [Put("history/x", b"")]
        )
    away = FakeSource()
    away.break_off()
    with pytest.raises(Unavailable):
        history.commit(away, [], [Put("services/a/b", b"")], [Put("history/x", b"")])
    with pytest.raises(Conflict):
        history.commit(FakeSource(), [Expect("a", mod_revision=7)], [], [Put("history/x", b"")])
