"""The one door to other programs: `haproxy`, `journalctl`, editors, and commands from the settings.

A program gets its own session, so that Ctrl-C at a terminal or a signal to lbsync's group never
cuts a reload in half, and so that a time limit can end it together with its children; an editor alone
shares the terminal (`at_terminal`). There is no shell.
"""

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

import msgspec

from lbsync.errors import Unavailable

OUTPUT_LIMIT = 1 << 20
"""Bytes kept of each stream; a program that talks more is read on, but not remembered."""
_GRACE_S = 2.0
"""From SIGTERM to SIGKILL after a time limit; also how long pipes held open by a child's own
children are drained after the child itself has ended."""
_CHUNK = 65536


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended."""

    rc: int
    """Exit code; negative when a signal ended it (as `subprocess` has it)."""
    stdout: str
    stderr: str
    seconds: float

    @property
    def said(self) -> str:
        """Everything it printed, errors first, stripped."""
        return "\n".join(part.strip() for part in (self.stderr, self.stdout) if part.strip())


def run(
    argv: Sequence[str],
    timeout: float,
    *,
    env: Mapping[str, str] | None = None,
    input: bytes = b"",
    cwd: str = "/",
) -> Outcome:
    """Run a program to its end and return what it said.

    `timeout` is in seconds; past it the whole process group is ended. `env` is added to the
    environment of lbsync. The working directory is `/`, as for a systemd unit, so that a relative
    path never works by accident.

    Raises `Unavailable` when the program cannot be started or does not end in time.
    """
    return start(argv, env=env, takes_input=bool(input), cwd=cwd).outcome(timeout, input)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    takes_input: bool = False,
    cwd: str = "/",
) -> "Running":
    """Start a program beside which something else can be done; the arguments are those of `run`.

    Raises `Unavailable` when it cannot be started.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if takes_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **env} if env else None,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise Unavailable(f"{argv[0]}: cannot be started: {error}") from error
    return Running(argv, process)


class Running:
    """A program at work. Whoever started it asks for its `outcome`, or ends it."""

    def __init__(self, argv: Sequence[str], process: subprocess.Popen[bytes]) -> None:
        """Use `start`."""
        self._argv = argv
        self._process = process
        self._output = _Output(process)
        self._started = time.monotonic()
        self.pid = process.pid

    def has_ended(self) -> bool:
        """Take in what it has printed so far, and tell whether it has ended. Never blocks."""
        self._output.take_all()
        return self._process.poll() is not None

    def outcome(self, timeout: float, input: bytes = b"") -> Outcome:
        """Wait for its end, at most until `timeout` seconds after its start; see `run`. Once only."""
        with self._process as process:
            output = self._output
            if not output.communicate(input, self._started + timeout):
                _end_group(process)
                output.communicate(b"", time.monotonic())
                said = output.text(process.stderr).strip()[-500:]
                detail = f"; it said: {said}" if said else ""
                raise Unavailable(
                    f"{shlex.join(self._argv)}: did not end within {timeout:g} s and was killed{detail}"
                )
            return Outcome(
                process.returncode,
                output.text(process.stdout),
                output.text(process.stderr),
                time.monotonic() - self._started,
            )

    def end(self) -> None:
        """End it at once with its children, if its outcome was not asked for: nobody wants it any more."""
        with self._process as process, contextlib.suppress(ProcessLookupError):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def at_terminal(argv: Sequence[str]) -> int:
    """Run a program that talks to whoever sits at this terminal, such as an editor, in the directory of this
    command and for as long as it takes; return its exit code, negative when a signal ended it.

    Ctrl-C is the program's meanwhile, as with `system(3)`. Raises `Unavailable` when it cannot be started.
    """
    # A handler, and not SIG_IGN, which the program would inherit.
    before = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)
    }
    try:
        return subprocess.run(list(argv), check=False).returncode
    except (OSError, ValueError) as error:
        raise Unavailable(f"{argv[0]}: cannot be started: {error}") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the program and its children: SIGTERM, a short grace, SIGKILL."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        # Also when the program itself went politely: a child of it may have stayed.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Output:
    """Feeds stdin and collects both outputs without a thread, each up to the limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._kept: dict[IO[bytes], bytearray] = {}
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._kept[stream] = bytearray()

    def text(self, stream: IO[bytes] | None) -> str:
        """Return what was kept of one stream."""
        return self._kept[stream].decode(errors="replace") if stream else ""

    def take_all(self) -> None:
        """Keep what the program has printed so far; never blocks."""
        for stream in self._kept:
            with contextlib.suppress(BlockingIOError):
                while self._keep(stream):
                    pass

    def communicate(self, data: bytes, deadline: float) -> bool:
        """Move bytes until the program ended; return False when the deadline came first."""
        pending = memoryview(data)
        with selectors.DefaultSelector() as selector:
            for stream in self._kept:
                if not stream.closed:
                    selector.register(stream, selectors.EVENT_READ)
            if data and self._process.stdin is not None:
                os.set_blocking(self._process.stdin.fileno(), False)
                selector.register(self._process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                now = time.monotonic()
                if self._process.poll() is not None:
                    # Its own children may hold the pipes open for ever: read what is there now.
                    deadline = min(deadline, now + _GRACE_S) if selector.select(0) else now
                if now >= deadline:
                    break
                for key, _ in selector.select(min(deadline - now, 0.05)):
                    if key.fileobj is self._process.stdin:
                        pending = self._feed(selector, pending)
                    else:
                        self._take(selector, key.fileobj)  # type: ignore[arg-type]
        return self._ended(deadline)

    def _ended(self, deadline: float) -> bool:
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def _feed(self, selector: selectors.BaseSelector, pending: memoryview) -> memoryview:
        stdin = self._process.stdin
        if stdin is None:
            return pending[:0]  # it was started without, and reads nothing
        try:
            pending = pending[os.write(stdin.fileno(), pending[:_CHUNK]) :]
        except BrokenPipeError:
            pending = pending[:0]  # it does not want to read more; its exit code tells the rest
        if not pending:
            selector.unregister(stdin)
            stdin.close()
        return pending

    def _take(self, selector: selectors.BaseSelector, stream: IO[bytes]) -> None:
        if not self._keep(stream):
            selector.unregister(stream)

    def _keep(self, stream: IO[bytes]) -> bool:
        """Keep what is there to be read; tell whether more may come. Raises `BlockingIOError` if nothing is there."""
        data = os.read(stream.fileno(), _CHUNK)
        kept = self._kept[stream]
        kept += data[: max(0, OUTPUT_LIMIT - len(kept))]
        return bool(data)
