"""Ask the running agent for something, and wait until it says that it is done."""

import argparse
import os
import pwd
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lbsync import status
from lbsync.agent.control import Control, Name, Request
from lbsync.cli.terminal import Terminal
from lbsync.errors import Exit, LbsyncError, Unavailable
from lbsync.settings import Duration
from lbsync.status import Status

_POLL_S = 0.05
_DEFAULT_WAIT = Duration(30_000)


def add_wait(parser: argparse.ArgumentParser) -> None:
    """Add `--wait`."""
    parser.add_argument(
        "--wait", type=duration, default=_DEFAULT_WAIT, metavar="DURATION",
        help=f"how long to wait for the agent (default: {_DEFAULT_WAIT})",
    )  # fmt: skip


def duration(text: str) -> Duration:
    """Read a time span of the command line."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def become_owner(state_dir: Path) -> None:
    """As root, go on as the user that owns the state directory: the agent.

    Files that root left there could not be replaced by the agent afterwards. Raises `LbsyncError`
    when there is no such directory.
    """
    try:
        owner = state_dir.stat()
    except OSError as error:
        raise LbsyncError(
            f"{state_dir}: {error.strerror}; is this the host, and --state-dir right?"
        ) from error
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    try:
        name = pwd.getpwuid(owner.st_uid).pw_name
    except KeyError as error:
        raise LbsyncError(f"{state_dir}: belongs to user {owner.st_uid}, who is unknown") from error
    os.initgroups(name, owner.st_gid)
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def make(state_dir: Path, name: Name, value: str) -> Request:
    """Make a request stand; return it. Raises `LbsyncError`."""
    request = Request(value, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    Control(state_dir).set(name, request)
    return request


def alive(state_dir: Path) -> Status | None:
    """Return the agent's status; None when no agent runs here."""
    try:
        found = status.read(state_dir)
    except Unavailable:
        return None
    return None if status.doubt(found, time.time()) else found


def wait_for(
    state_dir: Path, done: Callable[[Status], bool], wait: Duration, sentence: str
) -> Exit:
    """Wait as `until` does, then print `sentence`. Raises what that raises."""
    until(state_dir, done, wait)
    Terminal().line(sentence)
    return Exit.OK


def until(state_dir: Path, done: Callable[[Status], bool], wait: Duration) -> Status:
    """Wait until the agent's status says `done`; return it.

    Raises `Unavailable` when the agent does not run, or does not say so in time, and why.
    """
    begun = time.time()
    deadline = time.monotonic() + wait.seconds
    if alive(state_dir) is None:
        raise Unavailable(
            "the request is written, but no agent runs on this host; it is obeyed when one starts"
        )
    error = ""
    while time.monotonic() < deadline:
        now = alive(state_dir)
        if now is not None and now.written_at >= begun:
            if done(now):
                return now
            error = now.waits or now.error
        time.sleep(_POLL_S)
    said = f"; it says: {error}" if error else ""
    raise Unavailable(f"the request is written, but the agent did not confirm it in {wait}{said}")
