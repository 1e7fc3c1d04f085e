"""What has to be read back after a change."""

from lbsync.agent.runtime.changes.steps import AddEntry, SetWeight
from lbsync.agent.runtime.drift import Drift
from lbsync.agent.runtime.readback import Mismatch
from lbsync.agent.runtime.unread import Unread


def by_hand(backend: str) -> Drift:
    return Drift(Mismatch(f"{backend}/a", "weight", "1", "0"), True, server=(backend, "a"))


def test_only_backends_that_changed_since_they_were_read_are_read() -> None:
    unread = Unread()
    assert unread.backends == frozenset()
    unread.note_changed([SetWeight("be_a", "a", 1), AddEntry("map", "maps/x.map", "k", "v")])
    unread.note_changed([SetWeight("be_b", "a", 1)])
    assert unread.backends == {"be_a", "be_b"}
    unread.note_read([], unread.backends)
    assert unread.backends == frozenset()


def test_where_very_many_changed_all_are_read() -> None:
    unread = Unread()
    unread.note_changed(SetWeight(f"be_{n}", "a", 1) for n in range(10_000))
    assert unread.backends is None


def test_what_was_set_by_hand_is_known_until_its_own_backend_is_read() -> None:
    unread = Unread()
    unread.note_read([by_hand("be_a"), by_hand("be_b")], None)
    assert unread.note_read([], frozenset({"be_b"})) == [by_hand("be_a")]
    assert unread.note_read([], frozenset({"be_c"})) == [by_hand("be_a")]
    assert unread.note_read([], None) == []
