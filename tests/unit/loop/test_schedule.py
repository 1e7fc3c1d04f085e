"""When a pass is due."""

from hypothesis import given
from hypothesis import strategies as st

from lbsync.loop import Pace, Schedule
from lbsync.loop.schedule import FILE_WITHIN_S
from lbsync.settings import Settings

PACE = Pace(debounce=0.05, debounce_max=0.5, retry_min=1.0, retry_max=30.0, resync=300.0)


def idle_schedule(now: float = 100.0, spread: float = 0.0) -> Schedule:
    """A schedule whose first pass ended well at `now`."""
    schedule = Schedule(PACE, now, draw=lambda: spread)
    schedule.begun()
    schedule.ended(now, retry=False)
    return schedule


def test_the_first_pass_is_due_at_once() -> None:
    assert Schedule(PACE, 100.0).due() == 100.0


def test_the_pace_comes_from_the_settings() -> None:
    assert Pace.of(Settings().agent) == PACE


def test_a_pass_waits_until_changes_pause() -> None:
    schedule = idle_schedule()

    schedule.woken(101.0)
    schedule.woken(101.04)

    assert schedule.due() == 101.04 + 0.05


def test_changes_that_never_pause_are_applied_all_the_same() -> None:
    schedule = idle_schedule()

    for step in range(100):
        schedule.woken(101.0 + step * 0.01)

    assert schedule.due() == 101.5


def test_a_change_during_a_pass_makes_one_more() -> None:
    schedule = idle_schedule()
    schedule.woken(101.0)
    schedule.begun()

    schedule.woken(101.2)
    schedule.ended(101.3, retry=False)

    assert schedule.due() == 101.25


def test_without_changes_the_next_pass_is_the_resync() -> None:
    assert idle_schedule().due() == 400.0
    assert idle_schedule(spread=0.999).due() < 400.0


def test_failed_passes_are_retried_with_doubling_pauses_up_to_a_limit() -> None:
    schedule, now, pauses = idle_schedule(), 100.0, []
    for _ in range(8):
        schedule.begun()
        schedule.ended(now, retry=True)
        pauses.append(schedule.due() - now)

    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_pass_that_went_well_starts_the_pauses_anew() -> None:
    schedule = idle_schedule()
    for retry in (True, True, False, True):
        schedule.ended(100.0, retry=retry)

    assert schedule.due() == 101.0


def test_a_change_does_not_wait_for_the_retry() -> None:
    schedule = idle_schedule()
    for _ in range(10):
        schedule.ended(100.0, retry=True)

    schedule.woken(101.0)

    assert schedule.due() == 101.05


def test_a_pass_can_ask_for_the_next_one() -> None:
    schedule = idle_schedule()

    schedule.ended(100.0, retry=False, again_in=7.0)

    assert schedule.due() == 107.0


@given(
    st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30).map(sorted),
    st.floats(0.0, 0.999),
)
def test_a_pass_is_never_due_later_than_the_limit_after_the_first_change(
    wakes: list[float], spread: float
) -> None:
    schedule = idle_schedule(0.0, spread)

    for wake in wakes:
        schedule.woken(wake)

    assert wakes[0] < schedule.due() <= wakes[0] + PACE.debounce_max


@given(st.integers(1, 5000), st.floats(0.0, 0.999))
def test_no_number_of_failures_makes_the_pause_leave_its_range(count: int, spread: float) -> None:
    schedule = idle_schedule(0.0, spread)
    for _ in range(count):
        schedule.ended(0.0, retry=True)

    assert 0.8 * PACE.retry_min <= schedule.due() <= PACE.retry_max


def test_the_file_may_follow_a_little_later_what_is_in_force_already() -> None:
    schedule = idle_schedule(now=0.0)
    for step in range(100):
        schedule.woken(1.0 + step * 0.01)
        schedule.looked_ahead(done=True)
    assert schedule.due() == 1.0 + FILE_WITHIN_S
    schedule.woken(2.0)
    schedule.looked_ahead(done=False)
    assert schedule.due() == 1.0 + PACE.debounce_max


def test_whoever_waits_for_what_is_in_force_already_need_not_wait_for_further_changes() -> None:
    schedule = idle_schedule(now=0.0)
    schedule.woken(1.0)
    schedule.looked_ahead(done=True, awaited=True)
    assert schedule.due() <= 1.0
    schedule.begun()
    schedule.ended(1.1, retry=False)
    schedule.woken(2.0)
    schedule.looked_ahead(done=False, awaited=True)
    assert schedule.due() == 2.0 + PACE.debounce, "more than the file is left: that may be a reload"
