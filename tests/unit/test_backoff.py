"""Pauses grow, end growing, and begin anew."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.backoff import Backoff, doubled


def test_pauses_double_up_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.pause() == 0.5


def test_who_failed_together_does_not_try_together() -> None:
    backoff = Backoff(1.0, 8.0, spread=(0.5, 1.5))
    for base in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert base * 0.5 <= backoff.pause() <= min(base * 1.5, 8.0)


@given(st.integers(min_value=0, max_value=10**9))
def test_no_number_of_failures_is_too_large(failures: int) -> None:
    assert 0.1 <= doubled(0.1, 60.0, failures) <= 60.0
