"""When a reload may be: what repairs at once, what was asked for within the limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.apply.reload_limiter import Cause, Limits, ReloadLimiter
from lbsync.settings import Agent

FREE = Limits(0.0, 8, 0.0)


def waits(limiter: ReloadLimiter, now: float, old_workers: int = 0) -> float:
    delay = limiter.ask("change", now, old_workers)
    return delay.seconds if delay else 0.0


def test_as_shipped_a_change_waits_for_nothing_but_too_many_old_workers() -> None:
    limiter = ReloadLimiter(Limits.of(Agent()))
    assert limiter.ask("change", 0.0, 7) is None
    limiter.reloaded(0.0)
    assert limiter.ask("change", 0.0, 7) is None
    delay = limiter.ask("change", 0.0, 8)
    assert delay is not None
    assert "8 replaced workers still finish their connections" in delay.reason


def test_two_reloads_keep_their_distance_counted_from_the_end_of_the_first() -> None:
    limiter = ReloadLimiter(Limits(10.0, 8, 0.0))
    assert waits(limiter, 100.0) == 0.0
    limiter.reloaded(102.0)
    assert waits(limiter, 103.0) == pytest.approx(9.0)
    delay = limiter.ask("change", 103.0, 0)
    assert delay is not None
    assert delay.reason == "two reloads are at least 10 s apart (reload_interval)"
    assert waits(limiter, 112.0) == 0.0


def test_a_change_is_spread_by_one_draw_however_many_follow() -> None:
    draws = iter([0.5, 0.9])
    limiter = ReloadLimiter(Limits(0.0, 8, 60.0), draw=lambda: next(draws))
    assert waits(limiter, 0.0) == pytest.approx(30.0)
    assert waits(limiter, 20.0) == pytest.approx(10.0)
    assert waits(limiter, 30.0) == 0.0
    limiter.reloaded(31.0)
    assert waits(limiter, 40.0) == pytest.approx(54.0)


def test_a_change_that_was_taken_back_does_not_shorten_the_next_ones_wait() -> None:
    limiter = ReloadLimiter(Limits(0.0, 8, 60.0), draw=lambda: 0.5)
    assert waits(limiter, 0.0) == pytest.approx(30.0)
    limiter.drop_request()
    assert waits(limiter, 100.0) == pytest.approx(30.0)


def test_a_shorter_splay_holds_for_what_waits_already() -> None:
    limiter = ReloadLimiter(Limits(0.0, 8, 600.0), draw=lambda: 0.9)
    assert waits(limiter, 0.0) == pytest.approx(540.0)
    limiter.limits = FREE
    assert waits(limiter, 1.0) == 0.0


@pytest.mark.parametrize("cause", ["start", "heal", "rollback"])
def test_what_repairs_never_waits(cause: Cause) -> None:
    limiter = ReloadLimiter(Limits(100.0, 1, 100.0), draw=lambda: 0.5)
    limiter.reloaded(0.0)
    assert limiter.ask(cause, 0.0, 50) is None


@given(
    limits=st.builds(Limits, st.floats(0, 100), st.integers(1, 5), st.floats(0, 100)),
    share=st.floats(0, 0.999),
    pauses=st.lists(st.floats(0.01, 50), min_size=1, max_size=30),
    old=st.integers(0, 3),
)
def test_whoever_asks_again_when_told_to_gets_its_reload_within_the_limits(
    limits: Limits, share: float, pauses: list[float], old: int
) -> None:
    limiter = ReloadLimiter(limits, draw=lambda: share)
    now, last = 0.0, None
    for pause in pauses:
        now += pause
        asked, workers = now, old
        while (delay := limiter.ask("change", now, workers)) is not None:
            assert delay.seconds > 0
            now += delay.seconds
            if "max_old_workers" in delay.reason:
                workers -= 1
            assert now - asked <= limits.interval + limits.splay + old + 1e-6
        assert workers < limits.old_workers
        assert last is None or now - last >= limits.interval - 1e-6
        limiter.reloaded(now)
        last = now
