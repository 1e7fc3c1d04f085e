"""Start `lbsync` as a process of its own: as a new Python or, within `forking`, from a fork server."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from harness.fork_server import NUMBER, Request

#: What `python -m lbsync` does.
LBSYNC = "import sys\nfrom lbsync.cli import main\nsys.exit(main())\n"
#: Variables that count when a process begins, not later: with others than its own, a fork server
#: cannot give what was asked for.
_AT_BEGIN = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC_", "GRPC_")
_ROOT = Path(__file__).parents[1]


class Forked:
    """A process that a fork server made, used like `subprocess.Popen`."""

    def __init__(self, report: int, argv: Sequence[str]) -> None:
        self._report = os.fdopen(report, "rb", buffering=0)
        self._argv = argv
        self.returncode: int | None = None
        self.pid = self._read()

    def _read(self) -> int:
        said = self._report.read(NUMBER.size)
        if not said:
            raise RuntimeError("the fork server has ended")
        return int(NUMBER.unpack(said)[0])

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            ready, _, _ = select.select([self._report], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired(self._argv, timeout or 0)
            self.returncode = self._read()
            self._report.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal; nothing when it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL."""
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[bytes] | Forked


class ForkServer:
    """The server's process, started when it is first needed."""

    def __init__(self, python: str, path: Sequence[str]) -> None:
        """`python`: the interpreter; `path`: where it looks for modules before it looks elsewhere."""
        self._python, self._path = python, path
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = _at_begin(os.environ)

    def can(self, environ: Mapping[str, str]) -> bool:
        """Tell whether a fork is what a new process with these variables would be."""
        return _at_begin(environ) == self._environ

    def start(
        self, code: str, argv: Sequence[str], environ: Mapping[str, str], files: Sequence[int]
    ) -> Forked:
        """Run Python code in a fork; `files`: its standard input, output and error."""
        request = Request(code, list(argv), dict(environ), str(Path.cwd()))
        report, told = os.pipe()
        try:
            said = msgspec.json.encode(request)
            socket.send_fds(self._connected(), [said], [*files, told])
        finally:
            os.close(told)
        return Forked(report, argv)

    def _connected(self) -> socket.socket:
        with self._lock:
            if self._control is None:
                self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                with theirs:
                    # Forks keep its command line, by which lbsync knows its own.
                    argv = [self._python, "-m", "harness.fork_server", "lbsync"]
                    path = {"PYTHONPATH": os.pathsep.join(self._path)} if self._path else {}
                    self._process = subprocess.Popen(
                        [*argv, str(theirs.fileno())],
                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=_ROOT,
                        pass_fds=[theirs.fileno()], env={**os.environ, **path},
                    )  # fmt: skip
            return self._control

    def stop(self) -> None:
        """End it. What it started goes on."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait(10)


def _at_begin(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith(_AT_BEGIN)}


#: The one in use, if any.
_servers: list[ForkServer] = []


@contextlib.contextmanager
def forking(python: str = sys.executable, path: Sequence[str] = ()) -> Iterator[None]:
    """Let processes be forked within this block: the same, but for the time Python takes to begin.

    Not where time or memory is measured. `python`, `path`: as in `ForkServer`.
    """
    _servers.append(ForkServer(python, path))
    try:
        yield
    finally:
        _servers.pop().stop()


def start(
    words: Sequence[str],
    *,
    stdout: IO[bytes],
    stderr: IO[bytes],
    environ: Mapping[str, str] | None = None,
    code: str = LBSYNC,
) -> Process:
    """Start `lbsync WORDS`, or other Python `code` with these arguments; it has nothing to read.

    `environ` replaces this process's own. Raises OSError when it cannot be started.
    """
    environ = os.environ if environ is None else environ
    with Path(os.devnull).open("rb") as stdin:
        if _servers and _servers[-1].can(environ):
            files = [file.fileno() for file in (stdin, stdout, stderr)]
            return _servers[-1].start(code, ["lbsync", *words], environ, files)
        argv = [sys.executable, "-c", code, *words]
        return subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr, env=environ)


def run(
    words: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    code: str = LBSYNC,
) -> subprocess.CompletedProcess[str]:
    """Start it and wait for its end. Raises `subprocess.TimeoutExpired`, having killed it."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = start(words, stdout=out, stderr=err, environ=environ, code=code)
        try:
            ended = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        for file in (out, err):
            file.seek(0)
        said = [file.read().decode() for file in (out, err)]
    return subprocess.CompletedProcess(list(words), ended, *said)
