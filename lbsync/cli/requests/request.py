"""Sends a request to the running agent, and waits until the agent reports that it is done.

One-time requests (confirm, release, rollback) are carried out in time or withdrawn, because an agent that
carried them out hours later would surprise everybody. A requested state (drained or not) stays in force until
it is changed.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lbsync import liveness, status
from lbsync.agent.control import Control, Name, Request
from lbsync.cli.context import duration, invoker
from lbsync.cli.progress import Progress
from lbsync.errors import Unavailable
from lbsync.settings import Duration
from lbsync.status import PROVED, Status
from lbsync.timestamps import stamp

NO_AGENT = "no agent runs on this host"
_START = "'systemctl start lbsync-agent'"
_POLL_S = 0.05
_LOOKED = PROVED - {"stale"}
"""States of a pass that knows the desired state now, or needs not know."""
_DEFAULT_WAIT = Duration(30_000)


def add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", type=duration, default=_DEFAULT_WAIT, metavar="DURATION",
        help=f"how long to wait for the agent (default: {_DEFAULT_WAIT})",
    )  # fmt: skip


def make(state_dir: Path, name: Name, value: str) -> Request:
    """Make a request stand; return it. Raises `LbsyncError`."""
    request = Request(value, stamp(), invoker())
    Control(state_dir).set(name, request)
    return request


def alive(state_dir: Path) -> Status | None:
    """Return the agent's status; None when no agent runs here."""
    try:
        found = status.read(state_dir)
    except Unavailable:
        return None
    return None if liveness.doubt(found, time.time()) else found


def missing(state_dir: Path) -> str:
    """Return why nobody answers here, `NO_AGENT` or what an agent that runs suffers from; empty if one
    does."""
    try:
        found = status.read(state_dir)
    except Unavailable:
        return NO_AGENT
    return liveness.doubt(found, time.time()) if liveness.is_running(found) else NO_AGENT


def _demand(state_dir: Path, so: str) -> None:
    """Raise `Unavailable`, with the consequence `so`, where nobody answers."""
    if why := missing(state_dir):
        raise Unavailable(f"{why}, so {so}{f'; {_START}' if why == NO_AGENT else ''}")


@contextlib.contextmanager
def standing(state_dir: Path, name: Name, value: str) -> Iterator[None]:
    """Let a request stand for the length of a `with` block, and on if that ends well.

    Else what stood before stands again. Raises `LbsyncError` when it cannot be written.
    """
    control = Control(state_dir)
    before = control.get(name)
    make(state_dir, name, value)
    is_done = False
    try:
        yield
        is_done = True
    finally:
        if not is_done and before is None:
            control.forget(name)
        elif not is_done and before is not None:
            control.set(name, before)


def ask(
    state_dir: Path, name: Name, value: str, done: Callable[[Status], bool], wait: Duration
) -> Status:
    """Make a request and wait as `until` does; withdraw it when it is not done by then.

    Raises `Unavailable`; where no agent runs, nothing is asked.
    """
    _demand(state_dir, "nothing was asked")
    try:
        with standing(state_dir, name, value):
            return until(state_dir, done, wait)
    except Unavailable as error:
        raise Unavailable(f"{error}; the request is withdrawn") from error


def fresh(state_dir: Path, wait: Duration) -> Status:
    """Return what the agent says after a pass that began after this call, and looked at the source or is
    rolled back: what it said before may be older than what is asked of it. It is woken for that.

    Raises `Unavailable` if no agent runs, or no such pass ends in time; `LbsyncError`.
    """
    begun = time.time()
    _demand(state_dir, "nobody knows")
    make(state_dir, "look", "")
    try:
        return until(state_dir, lambda now: now.state in _LOOKED and _began(now) >= begun, wait)
    finally:
        Control(state_dir).forget("look")


def _began(now: Status) -> float:
    """Return when the last pass began, in seconds since 1970."""
    return now.last_pass.at - now.last_pass.seconds if now.last_pass is not None else 0.0


def until(
    state_dir: Path,
    done: Callable[[Status], bool],
    wait: Duration,
    has_failed: Callable[[Status], bool] = lambda _: False,
) -> Status:
    """Wait until the agent's status says `done`; return it.

    Raises `Unavailable`, with the reason, when the agent does not report that in time, or reports what
    `has_failed` recognizes.
    """
    begun = time.time()
    deadline = time.monotonic() + wait.seconds
    now: Status | None = None
    error = ""
    progress = Progress()
    while time.monotonic() < deadline:
        now = alive(state_dir)
        if now is not None and now.written_at >= begun:
            if done(now):
                progress.over()
                return now
            error = now.waits or now.error
            if has_failed(now):
                break
        state = now.state if now is not None else "it has not answered yet"
        progress.say(f"waiting for the agent: {error or state}")
        time.sleep(_POLL_S)
    progress.over()
    if now is None:
        why = missing(state_dir)
        raise Unavailable("the agent does not run any more" if why in ("", NO_AGENT) else why)
    said = f"; it says: {error}" if error else ""
    raise Unavailable(f"the agent did not confirm it in {wait}{said}")
