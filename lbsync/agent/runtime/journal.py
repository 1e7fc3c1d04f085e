"""What the agent is about to change in the running HAProxy, noted for its successor.

An agent that is killed halfway leaves weights and states behind that no file asks for. Without these
notes the next agent would think they were set by hand, and keep them.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lbsync.atomic import replace_file
from lbsync.decoders import decode
from lbsync.schema import reading

Touch = tuple[str, str, str]
"""Backend, server, and `weight` or `state`, which may also be set by hand."""


class Journal:
    """`<state_dir>/touched`: the worker's process id, then a line for each touch.

    If the disk refuses it, nothing stops. It need not survive a power cut, as HAProxy would not either.
    """

    def __init__(self, state_dir: Path) -> None:
        """`state_dir`: the agent's state directory."""
        self._path = state_dir / "touched"
        self._written: tuple[str, set[Touch]] | None = None

    def read(self, pid: str) -> set[Touch]:
        """Return what was noted of the worker with this process id."""
        try:
            head, *lines = self._path.read_bytes().split(b"\n")
        except OSError:
            return set()
        found: set[Touch] = set()
        if head.decode(errors="replace") == pid:
            for line in lines:
                # The last line may be cut short; its change was not made then.
                with contextlib.suppress(reading.Unreadable):
                    found.add(_touch(line))
        return found

    def begin(self, pid: str, touched: Iterable[Touch] = ()) -> None:
        """Start again with only this; further notes are about the worker with this id."""
        wanted = pid, set(touched)
        if self._written == wanted:
            return
        self._written = None
        with contextlib.suppress(OSError):
            lines = [pid.encode(), *map(msgspec.json.encode, sorted(wanted[1]))]
            replace_file(self._path, _lines(lines), durable=False)
            self._written = wanted

    def rewrite(self, pid: str, touched: Iterable[Touch]) -> None:
        """Write it even if nothing changed: the file may be gone."""
        self._written = None
        self.begin(pid, touched)

    def note(self, touched: Iterable[Touch]) -> None:
        """Add what is about to be changed."""
        if lines := [msgspec.json.encode(each) for each in sorted(touched)]:
            self._written = None
            with contextlib.suppress(OSError), self._path.open("ab") as file:
                file.write(_lines(lines))


def _touch(line: bytes) -> Touch:
    """Raises `reading.Unreadable`."""
    found: Touch = reading.total(lambda: decode(line, Touch))  # type: ignore[arg-type]
    return found


def _lines(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
