"""Requests of operators to the agent of this host, as files that survive a restart.

Commands write them, the agent reads them in each pass. They also work while the agent is down: it obeys
when it starts.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from lbsync import log
from lbsync.atomic import replace_file
from lbsync.errors import LbsyncError, cannot
from lbsync.schema import reading
from lbsync.timestamps import stamp

Name = Literal["confirm", "rollback", "drain", "release", "held", "look", "undone", "order"]
_DONE: dict[Name, str] = {
    "drain": "drained: {}",
    "rollback": "rolled back to generation {}",
    "release": "what was set by hand is released",
}
_UNDONE: dict[Name, str] = {"drain": "no longer drained", "rollback": "follows the source again"}
_WITHDRAWN: dict[Name, str] = {"drain": "undrain", "rollback": "rollback --release"}
_STANDING: tuple[Name, ...] = ("rollback", "drain", "held")
_MODE = 0o750
"""Of the directory, whatever the umask: who may write there rules this host."""


class Request(msgspec.Struct, frozen=True):
    """What a command has asked of this agent, as it lies in `<state_dir>/control/`."""

    value: str
    """`confirm`: the id of the hold; `rollback`: the generation's digest; `drain`: the reason;
    `release` and `look`: empty, the file only wakes the agent; `held`: the agent's own note of a hold;
    `undone`: which standing request was withdrawn, for the log; `order`: the agent's note of the last order that
    it took."""
    since: str
    """RFC 3339, UTC."""
    by: str = ""
    """Who asked for it, as the command found out: `ann (uid 1000)`."""
    ordered: bool = False
    """It came by an order through the store, which is in the history already."""


class OperatorAction(msgspec.Struct, frozen=True):
    """What an operator had this host do, for the history of the fleet."""

    command: str
    """As it is typed: `drain`, `rollback --release`."""
    request: Request


class Requests(msgspec.Struct, frozen=True):
    """The requests at the start of a pass, which it obeys and its status shows."""

    rollback: Request | None = None
    drain: Request | None = None

    @property
    def draining(self) -> str:
        """Why this host is drained; empty: it is not."""
        return self.drain.value if self.drain is not None else ""


def _ignore(action: OperatorAction) -> None:
    """Nobody keeps a history."""


class Control:
    """The directory of requests, `<state_dir>/control`."""

    def __init__(self, state_dir: Path) -> None:
        """`state_dir`: the agent's state directory."""
        self.path = state_dir / "control"
        self._standing: dict[Name, Request] = {}
        self._told: dict[Name, Request] = {}
        self._was_there = False
        self.on_action: Callable[[OperatorAction], None] = _ignore
        """Called when something was asked here, from the thread of the passes; must not block."""

    def get(self, name: Name) -> Request | None:
        """Return the current request, or None. A damaged file counts as none."""
        try:
            return reading.record((self.path / name).read_bytes(), Request)
        except (OSError, reading.Unreadable):
            return None

    def asked(self) -> Requests:
        """Return the current requests that a pass obeys; what is new about them is logged."""
        asked = Requests(self.get("rollback"), self.get("drain"))
        self._tell("rollback", asked.rollback)
        self._tell("drain", asked.drain)
        return asked

    def _tell(self, name: Name, request: Request | None) -> None:
        before = self._told.get(name)
        if request == before:
            return
        if request is not None:
            self._told[name] = request
            log.get().info(
                f"{_DONE[name].format(request.value)}, asked by {self._who(name, request)}",
                request=name, by=request.by, since=request.since,
            )  # fmt: skip
            self.on_action(OperatorAction(name, request))
            return
        del self._told[name]
        undone = self.get("undone")
        undone = undone if undone is not None and undone.value == name else None
        by = undone.by if undone is not None else ""
        log.get().info(f"{_UNDONE[name]}{f', asked by {by}' if by else ''}", request=name, by=by)
        if undone is not None:
            self.on_action(OperatorAction(_WITHDRAWN[name], undone))
        self.clear("undone")

    def _who(self, name: Name, request: Request) -> str:
        """Return who asked for it; else whose the request's file is."""
        if request.by:
            return request.by
        try:
            return f"uid {(self.path / name).stat().st_uid}"
        except OSError:
            return "nobody knows whom"

    def recreate(self) -> bool:
        """Create the directory if it is missing, with the requests of the last call; tell whether it had
        existed then.

        To withdraw a request removes its file, not the directory. Raises `LbsyncError`.
        """
        if self.path.is_dir():
            found = {name: self.get(name) for name in _STANDING}
            self._standing = {name: request for name, request in found.items() if request}
            self._was_there = True
            return False
        try:
            self.path.mkdir(_MODE, parents=True, exist_ok=True)
        except OSError as error:
            right = "give lbsync's user the right to write there"
            raise LbsyncError(f"{self.path}: {cannot('be made', error, right)}") from error
        for name, request in self._standing.items():
            self.set(name, request)
        return self._was_there

    def set(self, name: Name, request: Request) -> None:
        """Write a request. Raises `LbsyncError` when the directory cannot be written."""
        target = self.path / name
        try:
            self.path.mkdir(_MODE, parents=True, exist_ok=True)
            replace_file(target, msgspec.json.encode(request))
        except OSError as error:
            otherwise = "run the command as root or as the agent's user"
            raise LbsyncError(
                f"{target}: the request {cannot('be written', error, otherwise)}"
            ) from error

    def clear(self, name: Name) -> bool:
        """Withdraw a request; tell whether there was one. Raises `LbsyncError`."""
        try:
            (self.path / name).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            otherwise = "run the command as root or as the agent's user"
            raise LbsyncError(
                f"{self.path / name}: {cannot('be removed', error, otherwise)}"
            ) from error
        return True

    def withdraw(self, name: Name, by: str, *, ordered: bool = False) -> bool:
        """End a standing request, as `by` asks; tell whether there was one. `ordered`: see `Request`. Raises
        `LbsyncError`."""
        if self.get(name) is None:
            return self.clear(name)
        self.set("undone", Request(name, stamp(), by, ordered))
        return self.clear(name)

    def carried_out(self, name: Name) -> None:
        """Log who asked for what was done, and forget it. Nothing happens where nobody asked."""
        request = self.get(name)
        if request is not None:
            said = f"{_DONE[name].format(request.value)}, asked by {self._who(name, request)}"
            log.get().info(said, request=name, by=request.by, since=request.since)
            self.on_action(OperatorAction(name, request))
        self.forget(name)

    def confirmed(self, request: Request) -> None:
        """Take note that a held removal went as it was confirmed on this host."""
        self.on_action(OperatorAction("confirm", request))

    def forget(self, name: Name) -> None:
        """Withdraw a request that was carried out; if that fails, it only stays a little longer."""
        with contextlib.suppress(LbsyncError):
            self.clear(name)
