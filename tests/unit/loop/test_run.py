"""The loop: passes, failures, signals, and what systemd hears of it."""

import io
import itertools
import json
import signal
from collections.abc import Callable, Iterator

import pytest
import structlog

from lbsync import log, threads
from lbsync.errors import SettingsError, Stuck, Unavailable
from lbsync.loop import Loop, Notifier, Outcome, Pace, Report

PACE = Pace(debounce=0.05, debounce_max=0.5, retry_min=1.0, retry_max=30.0, resync=300.0)
CONFIRMED = Outcome("revision 1 is served", confirmed=True)
Event = Callable[[], object]


class World:
    """Time that passes only while the loop waits, and events that happen then."""

    def __init__(self, events: list[tuple[float, Event]]) -> None:
        self.now = 0.0
        self.flag = False
        self.woken_at = 0.0
        self.events = events

    def clock(self) -> float:
        return self.now

    def wake(self) -> None:
        self.flag = True

    def wait(self, timeout: float) -> bool:
        until = self.now + timeout
        while not self.flag and self.events and self.events[0][0] <= until:
            self.now, event = self.events.pop(0)
            event()
        if not self.flag:
            self.now = until
        assert self.now < 10_000, "nothing stops this loop"
        woken, self.flag = self.flag, False
        self.woken_at = self.now
        return woken


class Systemd(Notifier):
    """Keeps what it is told."""

    def __init__(self, ping_every: float | None = None) -> None:
        super().__init__({})
        self.heard: list[str] = []
        self.ping_every = ping_every

    def _send(self, message: str) -> None:
        self.heard.append(message.partition("\n")[0])


def raise_signal(number: int) -> Event:
    return lambda: signal.raise_signal(number)


STOP = raise_signal(signal.SIGTERM)


@pytest.fixture
def lines() -> Iterator[Callable[[], list[str]]]:
    stream = io.StringIO()
    log.setup(stream=stream)
    yield lambda: [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()


class Bench:
    """A loop whose passes follow a script; the last entry repeats."""

    def __init__(
        self, script: list[Outcome | Exception], events: list[tuple[float, Event]]
    ) -> None:
        self.world = World(events)
        self.systemd = Systemd()
        self.script = script
        self.times: list[float] = []
        self.reports: list[Report] = []
        self.reload: Callable[[], Pace] = lambda: PACE
        self.on_report: Callable[[Report], None] = self.reports.append
        self.fast_path: Callable[[], bool] | None = None

    def one_pass(self) -> Outcome:
        self.times.append(round(self.world.now, 3))
        entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(entry, Exception):
            raise entry
        return entry

    def run(self) -> "Bench":
        Loop(
            self.one_pass,
            PACE,
            waker=self.world,
            fast_path=self.fast_path,
            reload=self.reload,
            on_report=self.on_report,
            notifier=self.systemd,
            clock=self.world.clock,
            wall_clock=self.world.clock,
        ).run()
        return self


def test_many_wakes_close_together_make_one_pass() -> None:
    bench = Bench([CONFIRMED], [])
    wake = bench.world.wake
    bench.world.events = [(10.0, wake), (10.02, wake), (10.04, wake), (11.0, STOP)]

    assert bench.run().times == [0.0, 10.09]


def test_changes_that_come_while_others_are_made_ahead_do_not_wait_for_a_pass() -> None:
    bench = Bench([CONFIRMED], [])
    bench.world.events = [(10.0, bench.world.wake), (20.0, STOP)]
    looks: list[float] = []

    def fast_path() -> bool:
        bench.world.now += 0.1  # longer than the debounce
        looks.append(round(bench.world.now, 3))
        if len(looks) < 3:
            bench.world.wake()
        return True

    bench.fast_path = fast_path
    assert bench.run().times == [0.0, 10.3]
    assert looks == [10.1, 10.2, 10.3]


def test_the_other_threads_are_looked_after_by_the_clock_and_not_at_each_change() -> None:
    """Their directories are asked for then, which costs as much as a tenth of a change."""
    looks: list[float] = []
    bench = Bench([CONFIRMED], [])

    class Kept:
        def restart_ended(self) -> None:
            looks.append(round(bench.world.now, 3))

    threads.supervise(kept := Kept())
    bench.world.events = [*((10 + n / 100, bench.world.wake) for n in range(100)), (16.0, STOP)]
    bench.fast_path = lambda: True
    bench.run()
    assert kept is not None
    during = [at for at in looks if 10.0 < at < 11.0]
    assert len(during) <= 1
    pauses = [after - before for before, after in itertools.pairwise([0.0, *looks, 16.0])]
    assert max(pauses) <= 6.0


def test_a_thread_that_only_a_new_process_can_replace_ends_this_one() -> None:
    bench = Bench([CONFIRMED], [])

    class Kept:
        def restart_ended(self) -> None:
            if bench.world.now > 10.0:
                raise Stuck("the watch is deaf")

    threads.supervise(kept := Kept())
    bench.world.events = [(1000.0, STOP)]
    with pytest.raises(Stuck, match="the watch is deaf"):
        bench.run()
    assert kept is not None
    assert bench.world.now < 20.0


def test_changes_that_never_pause_do_not_keep_a_pass_waiting() -> None:
    bench = Bench([CONFIRMED], [])
    bench.world.events = [(10.0, bench.world.wake), (12.0, STOP)]

    def fast_path() -> bool:
        bench.world.now += 0.2
        if bench.world.now < 11.5:
            bench.world.wake()
        return False

    bench.fast_path = fast_path
    first, *rest = bench.run().times
    assert first == 0.0
    assert rest[0] <= 10.0 + PACE.debounce_max + 0.2


def test_without_events_a_pass_runs_for_the_resync() -> None:
    bench = Bench([CONFIRMED], [(400.0, STOP)]).run()

    assert len(bench.times) == 2
    assert 240.0 <= bench.times[1] <= 300.0


def test_a_failed_pass_is_retried_without_any_event(lines: Callable[[], list[str]]) -> None:
    bench = Bench([Unavailable("etcd is away"), CONFIRMED], [(2.0, STOP)]).run()

    assert len(bench.times) == 2
    assert 0.8 <= bench.times[1] <= 1.0
    assert lines() == [
        "the pass fails: etcd is away",
        "the pass works again after 1 s",
        "revision 1 is served",
    ]


def test_an_unforeseen_fault_does_not_end_the_loop(lines: Callable[[], list[str]]) -> None:
    bench = Bench([ZeroDivisionError("oops"), CONFIRMED], [(2.0, STOP)]).run()

    assert len(bench.times) == 2
    assert bench.reports[0].error == "unforeseen: ZeroDivisionError: oops"
    assert "this is a fault of lbsync, please report it" in lines()


def test_a_fault_that_repeats_shows_its_traceback_once(lines: Callable[[], list[str]]) -> None:
    Bench([ZeroDivisionError("oops")], [(20.0, STOP)]).run()

    assert lines().count("this is a fault of lbsync, please report it") == 1


def test_the_same_fault_after_a_recovery_shows_its_traceback_again(
    lines: Callable[[], list[str]],
) -> None:
    fault = ZeroDivisionError("oops")
    bench = Bench([fault, fault, CONFIRMED, fault], [])
    bench.world.events = [(5.0, bench.world.wake), (20.0, STOP)]
    bench.run()

    assert len(bench.times) > 4
    assert lines().count("this is a fault of lbsync, please report it") == 2


def test_a_rejected_pass_waits_for_new_input(lines: Callable[[], list[str]]) -> None:
    rejected = Outcome("held", confirmed=True, error="the guard holds a removal")
    bench = Bench([CONFIRMED, rejected, CONFIRMED], [])
    bench.world.events = [(1.0, bench.world.wake), (100.0, bench.world.wake), (101.0, STOP)]

    assert bench.run().times == [0.0, 1.05, 100.05]


def test_a_pass_that_changes_nothing_is_logged_once(lines: Callable[[], list[str]]) -> None:
    bench = Bench([CONFIRMED], [])
    bench.world.events = [(float(second), bench.world.wake) for second in range(1, 9)] + [
        (9.0, STOP)
    ]
    bench.run()

    assert len(bench.times) == 9
    assert lines() == ["revision 1 is served"]


def test_what_is_confirmed_with_a_flaw_is_not_called_a_failure(
    lines: Callable[[], list[str]],
) -> None:
    flawed = Outcome("revision 2 is served", True, changed=True, error="a/b is quarantined")
    bench = Bench([CONFIRMED, flawed, flawed, CONFIRMED], [])
    bench.world.events = [(float(second), bench.world.wake) for second in (1, 2, 3)] + [(4.0, STOP)]

    bench.run()

    assert lines() == [
        "revision 1 is served",
        "revision 2 is served",
        "not all is as wanted: a/b is quarantined",
        "revision 2 is served",
        "revision 1 is served",
        "all is as wanted again after 2 s",
    ]
    assert [report.failing_since for report in bench.reports] == [None, 1.05, 1.05, None]


@pytest.mark.parametrize(("wakes", "first"), [([0.5], 0.55), ([], 2.0)])
def test_the_first_pass_waits_for_the_source_but_not_for_ever(
    wakes: list[float], first: float
) -> None:
    world, times = World([]), []
    world.events = [*((at, world.wake) for at in wakes), (10.0, STOP)]

    def a_pass() -> Outcome:
        times.append(world.now)
        return CONFIRMED

    Loop(
        a_pass, PACE, waker=world, notifier=Systemd(), clock=world.clock, patience=2.0
    ).run()  # fmt: skip

    assert times == [first]


def test_a_report_tells_since_when_passes_fail() -> None:
    bench = Bench([CONFIRMED, Unavailable("away"), Unavailable("away"), CONFIRMED], [])
    bench.world.events = [(5.0, bench.world.wake), (30.0, STOP)]

    reports = bench.run().reports

    assert [report.failing_since for report in reports] == [None, 5.05, 5.05, None]


def test_a_report_tells_since_when_the_present_reason_stands() -> None:
    flawed = Outcome("served", confirmed=True, error="a/b is quarantined")
    script: list[Outcome | Exception] = [
        Unavailable("etcd is away"),
        Unavailable("HAProxy is away"),
        flawed,
        flawed,
        CONFIRMED,
    ]
    bench = Bench(script, [])
    bench.world.events = [(at, bench.world.wake) for at in (10.0, 20.0, 30.0)] + [(31.0, STOP)]

    reports = bench.run().reports

    assert [report.error for report in reports][-1] == ""
    assert reports[-1].failing_since is None
    begun = {report.error: report.failing_since for report in reversed(reports) if report.error}
    assert begun.keys() == {"etcd is away", "HAProxy is away", "a/b is quarantined"}
    assert len(set(begun.values())) == 3


def test_ready_is_said_once_after_the_first_confirmed_pass() -> None:
    unconfirmed = Outcome("not yet", confirmed=False, error="no socket", retry=True)
    bench = Bench([unconfirmed, CONFIRMED, CONFIRMED], [])
    bench.world.events = [(5.0, bench.world.wake), (6.0, STOP)]

    assert bench.run().systemd.heard == [
        "STATUS=no socket",
        "STATUS=revision 1 is served",
        "READY=1",
        "STATUS=revision 1 is served",
        "STOPPING=1",
    ]


def test_whoever_waits_for_ready_may_read_the_status_of_that_pass() -> None:
    bench = Bench([CONFIRMED], [(5.0, STOP)])
    bench.on_report = lambda report: bench.systemd.heard.append("status written")

    assert bench.run().systemd.heard == [
        "STATUS=revision 1 is served",
        "status written",
        "READY=1",
        "STOPPING=1",
    ]


def test_the_watchdog_is_fed_while_nothing_happens() -> None:
    bench = Bench([CONFIRMED], [(100.0, STOP)])
    bench.systemd.ping_every = 10.0

    assert bench.run().systemd.heard.count("WATCHDOG=1") >= 10
    assert len(bench.times) == 1


def test_sigterm_lets_the_running_pass_finish() -> None:
    finished = []

    def a_pass() -> Outcome:
        signal.raise_signal(signal.SIGTERM)
        finished.append(True)
        return CONFIRMED

    world = World([])
    before = signal.getsignal(signal.SIGTERM)
    Loop(a_pass, PACE, waker=world, notifier=Systemd(), clock=world.clock).run()

    assert finished == [True]
    assert signal.getsignal(signal.SIGTERM) == before


def test_sighup_reads_settings_again_and_runs_a_pass(lines: Callable[[], list[str]]) -> None:
    bench = Bench([CONFIRMED], [])
    bench.world.events = [
        (5.0, raise_signal(signal.SIGHUP)),
        (10.0, bench.world.wake),
        (20.0, STOP),
    ]
    bench.reload = lambda: Pace(3.0, 3.0, 1.0, 1.0, 300.0)

    bench.run()

    assert bench.times == [0.0, 5.05, 13.0]
    assert bench.systemd.heard[2:4] == ["RELOADING=1", "READY=1"]
    assert "settings and templates were read again" in lines()


def test_a_sighup_that_came_before_the_loop_is_kept_and_heard_then(
    lines: Callable[[], list[str]],
) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        bench = Bench([CONFIRMED], [(5.0, STOP)])
        bench.reload = lambda: PACE
        signal.raise_signal(signal.SIGHUP)
        bench.run()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert "settings and templates were read again" in lines()


def test_many_requests_to_reread_are_one(lines: Callable[[], list[str]]) -> None:
    hangup = raise_signal(signal.SIGHUP)
    bench = Bench([CONFIRMED], [(5.0, hangup), (5.01, hangup), (5.02, hangup), (20.0, STOP)])
    bench.run()

    assert bench.times == [0.0, 5.07]
    assert lines().count("settings and templates were read again") == 1


def test_wrong_new_settings_leave_the_old_in_place(lines: Callable[[], list[str]]) -> None:
    bench = Bench([CONFIRMED], [(5.0, raise_signal(signal.SIGHUP)), (6.0, STOP)])

    def wrong() -> Pace:
        raise SettingsError(["debonce: no such setting"])

    bench.reload = wrong
    bench.run()

    assert bench.times == [0.0, 5.05]
    assert bench.reports[-1].reload_error == "debonce: no such setting"
    assert any("the old ones hold: debonce: no such setting" in line for line in lines())


def test_a_status_that_cannot_be_written_does_not_end_the_loop(
    lines: Callable[[], list[str]],
) -> None:
    world = World([(1.0, STOP)])

    def no_disk(_: Report) -> None:
        raise OSError("No space left on device")

    Loop(
        lambda: CONFIRMED, PACE, waker=world, on_report=no_disk, notifier=Systemd(),
        clock=world.clock,
    ).run()  # fmt: skip

    assert any("No space left on device" in line for line in lines())


def test_all_lines_of_a_pass_have_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    world = World([])
    world.events = [(1.0, world.wake), (2.0, raise_signal(signal.SIGTERM))]
    log.setup(style="json")

    def look() -> bool:
        log.get().info("ahead")
        return True

    def a_pass() -> Outcome:
        log.get().info("within")
        return Outcome("done", confirmed=True, changed=True)

    loops = [Loop(a_pass, PACE, waker=world, fast_path=look, notifier=Systemd(), clock=world.clock)]
    loops[0].run()
    structlog.reset_defaults()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    told = [(line["event"], line["pass_id"]) for line in lines]
    first, second = told[0][1], told[2][1]
    assert told == [
        ("within", first),
        ("done", first),
        ("ahead", second),
        ("within", second),
        ("done", second),
    ]
    assert first != second
    assert first.partition("-")[0] == second.partition("-")[0]


def test_a_loop_knows_for_how_long_it_was_silent() -> None:
    world = World([])
    loop = Loop(lambda: CONFIRMED, PACE, waker=world, notifier=Systemd(), clock=world.clock)
    loop.watchdog_ping()
    world.now += 200
    assert loop.silence == (200.0, 180.0)
    loop.watchdog_ping()
    assert loop.silence[0] == 0.0
    strict = Notifier({"WATCHDOG_USEC": "30000000"})
    assert Loop(lambda: CONFIRMED, PACE, waker=world, notifier=strict).silence[1] == 30.0


def test_a_change_is_unanswered_until_it_is_confirmed() -> None:
    world = World([])
    seen: list[float | None] = []
    outcomes = iter([
        CONFIRMED,
        Outcome("no", confirmed=False, retry=True),
        Outcome("waits", confirmed=True, waits="splay", again_in=1.0),
        CONFIRMED,
        CONFIRMED,
    ])  # fmt: skip
    loops: list[Loop] = []

    def told(_: Report) -> None:
        seen.append(loops[0].unanswered_since)
        if len(seen) == 5:
            loops[0].stop()

    loops.append(Loop(lambda: next(outcomes), PACE, waker=world, on_report=told,
                      notifier=Systemd(), clock=world.clock))  # fmt: skip
    world.events = [(10.0, world.wake), (200.0, world.wake)]
    loops[0].run()
    assert seen == [None, 10.0, 10.0, 10.0, 200.0]
    assert loops[0].unanswered_since is None


class Halves:
    """Passes that have to wait for something for `takes` seconds each."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.takes, self._ready_at = 0.6, 0.0
        self.did: list[tuple[str, float]] = []

    def note(self, what: str) -> None:
        self.did.append((what, round(self.bench.world.now, 2)))

    def since(self, began: float) -> list[str]:
        return [what for what, at in self.did if at >= began]

    def begin(self) -> "Halves":
        self.note("begins")
        self._ready_at = self.bench.world.now + self.takes
        return self

    def is_ready(self) -> bool:
        return self.bench.world.now >= self._ready_at

    def finish(self) -> Outcome:
        self.note("ends")
        return CONFIRMED

    def abandon(self) -> None:
        self.note("abandoned")


@pytest.fixture
def halves() -> Halves:
    bench = Bench([CONFIRMED], [])
    wake = bench.world.wake
    bench.world.events = [(10.0, wake), (10.3, wake), (30.0, STOP)]
    halves = Halves(bench)
    bench.one_pass = halves.begin  # type: ignore[assignment, method-assign]
    return halves


def changes(halves: Halves, *done: bool) -> Callable[[], bool]:
    answers = iter(done)

    def change() -> bool:
        halves.note("change")
        return next(answers)

    return change


def test_changes_go_on_while_a_pass_waits_and_no_other_begins(halves: Halves) -> None:
    halves.bench.fast_path = changes(halves, True, True)
    halves.bench.run()
    assert halves.since(10) == ["change", "begins", "change", "ends", "begins", "ends"]
    assert ("change", 10.3) in halves.did
    assert len(halves.bench.reports) == 3


def test_a_pass_that_waits_ends_for_a_change_that_takes_a_pass(halves: Halves) -> None:
    halves.bench.fast_path = changes(halves, True, False)
    halves.bench.run()
    assert halves.since(10) == ["change", "begins", "change", "abandoned", "begins", "ends"]
    assert len(halves.bench.reports) == 2


def test_a_pass_that_waits_is_finished_before_the_end(halves: Halves) -> None:
    halves.takes = 1000.0
    halves.bench.world.events = [(1.0, STOP)]
    halves.bench.run()
    assert halves.since(0) == ["begins", "ends"]
    assert "STOPPING=1" in halves.bench.systemd.heard


def test_a_change_is_unanswered_by_a_pass_that_began_before_it(halves: Halves) -> None:
    seen: list[float | None] = []
    world = halves.bench.world
    loop = Loop(halves.begin, PACE, waker=world, fast_path=lambda: True, notifier=Systemd(),
                clock=world.clock, on_report=lambda _: seen.append(loop.unanswered_since))  # fmt: skip
    loop.run()
    assert seen == [None, 10.0, 10.3]
