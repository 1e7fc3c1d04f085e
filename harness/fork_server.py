"""A process that has imported lbsync and forks itself for whoever needs one that has just started.

Half a second of processor time goes into importing gRPC, Jinja2 and the rest; a fork has them. What
runs in it is a process of its own in every other way: arguments, environment, files, signals, end.
As a program: `python -m harness.fork_server lbsync FD`, with a socket at FD; `harness.launch` does it.
"""

import atexit
import contextlib
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import threading
import time
from typing import NoReturn

import msgspec

import lbsync
from harness import haproxy
from lbsync.agent.desired.template_context import make_renderer
from lbsync.clients.haproxy import binary
from lbsync.deferred import Deferred
from lbsync.settings import Settings

#: Largest request in bytes; well below what a socket takes at once (net.core.wmem_default).
MOST_BYTES = 1 << 17
#: What is told of a process: its id at first; in the end how it ended, as in `Popen.returncode`.
NUMBER = struct.Struct("=i")


class Request(msgspec.Struct):
    """What to run; the files it is to have come along as descriptors, and where to tell its end."""

    code: str
    argv: list[str]
    environ: dict[str, str]
    directory: str


class Server:
    """Forks for each request that comes from `control`."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._events = select.poll()
        self._events.register(control, select.POLLIN)
        self._running: dict[int, tuple[int, int]] = {}
        """By the descriptor that tells its end: process id, and the pipe that is told to."""
        # A Ctrl-C is for those who know what to do then; when they have ended, so does this.
        self._interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> str:
        """Serve until the other side is gone; return in each child, with the code to be run."""
        while True:
            for descriptor, _ in self._events.poll():
                if descriptor in self._running:
                    self._collect(descriptor)
                    continue
                said, given, _, _ = socket.recv_fds(self._control, MOST_BYTES, 4)
                if not said:
                    sys.exit(0)
                pid = os.fork()
                if pid == 0:
                    return self._become(msgspec.json.decode(said, type=Request), given)
                *files, report = given
                for file in files:
                    os.close(file)
                end = os.pidfd_open(pid)
                self._running[end] = pid, report
                self._events.register(end, select.POLLIN)
                _tell(report, pid)

    def _collect(self, descriptor: int) -> None:
        pid, report = self._running.pop(descriptor)
        self._events.unregister(descriptor)
        _tell(report, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.close(descriptor)
        os.close(report)

    def _become(self, request: Request, given: list[int]) -> str:
        for target, file in enumerate(given[:3]):
            os.dup2(file, target)
        others = [number for end, (_, report) in self._running.items() for number in (end, report)]
        for number in (*given, *others, self._control.detach()):
            os.close(number)
        signal.signal(signal.SIGINT, self._interrupt)
        os.environ.clear()
        os.environ.update(request.environ)
        time.tzset()
        os.chdir(request.directory)
        sys.argv = request.argv
        return request.code


def _tell(report: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # whoever asked for the process is gone
        os.write(report, NUMBER.pack(number))


def _load() -> None:
    """Import all of lbsync, as no command does by itself, with the libraries that it loads when they are
    first used, compile the packaged templates, and ask each HAProxy for its version."""
    for found in pkgutil.walk_packages(lbsync.__path__, "lbsync."):
        if found.name != "lbsync.__main__":
            for value in list(vars(importlib.import_module(found.name)).values()):
                if isinstance(value, Deferred):
                    importlib.import_module(vars(value)["_name"])
    make_renderer(Settings())
    for program in haproxy.binaries().values():
        binary.version(program)
    gc.collect()
    gc.freeze()  # else the first collection in each fork would copy all of it


def _run(code: str) -> NoReturn:
    """Run code as `__main__` and end as Python would, without taking its modules apart first.

    That would copy all that is shared with the server: 50 ms of processor time for each process.
    """
    ended = 0
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        ended = end.code if isinstance(end.code, int) else int(end.code is not None)
    # As multiprocessing ends its forks.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended & 0xFF)


if __name__ == "__main__":
    server = Server(socket.socket(fileno=int(sys.argv[-1])))
    _load()
    _run(server.serve())
