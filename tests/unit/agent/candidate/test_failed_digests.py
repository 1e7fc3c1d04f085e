"""What has failed is left alone for a while, and not for ever."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.candidate.failed_digests import FIRST_S, FailedDigests, pause


def test_what_failed_rests_for_minutes_and_longer_each_time() -> None:
    known = FailedDigests()
    now = 100.0
    rests = []
    for _ in range(3):
        known.note("aa", "no", now, "7")
        rest = known.rest("aa", now, "7")
        assert rest is not None
        rests.append(rest)
        now += rest[0]
        assert known.rest("aa", now, "7") is None, "its time is up"
    assert rests == [(FIRST_S, "no"), (2 * FIRST_S, "no"), (4 * FIRST_S, "no")]


def test_another_content_and_another_haproxy_are_tried_at_once() -> None:
    known = FailedDigests()
    known.note("aa", "no", 0.0, "7")
    assert known.rest("bb", 0.0, "7") is None
    assert known.rest("aa", 0.0, "8") is None


@given(st.lists(st.text(max_size=3), max_size=100))
def test_it_remembers_no_more_than_it_needs(digests: list[str]) -> None:
    known = FailedDigests()
    for digest in digests:
        known.note(digest, "no", 0.0, "7")
        assert known.rest(digest, 0.0, "7")


@given(st.integers(1, 10_000))
def test_no_pause_is_endless(failures: int) -> None:
    assert FIRST_S <= pause(failures) <= 3600
