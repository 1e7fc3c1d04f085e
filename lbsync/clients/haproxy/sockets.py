"""HAProxy's two sockets: the master's (`-S`) and the worker's (`stats socket`).

Both speak lines. The master's never closes by itself after a command, so the writing side is closed
first and the answer read to its end. Both are re-created while HAProxy reloads, so a connection
that is refused, reset, or closed without an answer is tried again for a few seconds.
"""

import errno
import re
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lbsync.clients.haproxy import answers
from lbsync.clients.haproxy.identity import parse_identity
from lbsync.clients.haproxy.options import HaproxyOptions
from lbsync.errors import Denied, Unavailable

REFUSED_S = 1.5
"""For so long a socket that refuses is tried before HAProxy counts as not running. It is re-created in
each reload, so a few refusals are normal (measured: 10 to 100 ms)."""
_RETRY_EVERY_S = 0.01
_ANSWER_S = 10.0
"""How long an answer may take; the longest, 30,000 servers' states, takes 0.05 s (measured)."""
BATCH_BYTES = 8000
"""HAProxy 3.2 and 3.4 hang on command lines of 16 kB (measured); stay well below."""
_NOT_YET = {
    errno.ENOENT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EPIPE,
    errno.EAGAIN,
    errno.ENOTCONN,
}
_CURRENT = "@1 "
"""How the master is told that a command is for the worker that serves (management guide, 9.4)."""
_NO_WORKER = re.compile(rb"Can't (?:find|connect to) the target ")
_DENIED = {errno.EACCES, errno.EPERM}
_NEVER_HEARD = {errno.ENOENT, errno.ECONNREFUSED, *_DENIED}


class CommandSocket:
    """One of the sockets; each call is a connection of its own."""

    def __init__(self, path: str, retry_s: float) -> None:
        """`retry_s`: seconds to go on trying while the socket refuses."""
        self.path = path
        self._retry_s = retry_s

    def ask(
        self,
        *commands: str,
        payload: str = "",
        retry_s: float | None = None,
        answer_s: float = _ANSWER_S,
        may_be_empty: bool = True,
    ) -> str:
        """Send commands as one line, with the last one's payload; return the whole answer.

        `retry_s`: seconds to go on trying a socket that refuses; `answer_s`: seconds to wait for
        each part of the answer.
        With `may_be_empty=False` an empty answer counts as a connection lost in a reload and the
        commands are sent again; only for commands that change nothing. Raises `Unavailable`, which
        is `Denied` where this user may not open the socket.
        """
        deadline = time.monotonic() + (self._retry_s if retry_s is None else retry_s)
        while True:
            try:
                answer = self._exchange(commands, payload, answer_s)
                if answer or may_be_empty:
                    return answer
                problem: OSError | str = "it closed without an answer"
            except TimeoutError as error:
                raise Unavailable(
                    f"{self.path}: no answer to {';'.join(commands)!r} within {answer_s:g} s"
                ) from error
            except OSError as error:
                problem = error
                if error.errno in _DENIED:
                    raise Denied(self._why(error)) from error
                if error.errno not in _NOT_YET:
                    raise Unavailable(self._why(error)) from error
            if time.monotonic() >= deadline:
                cause = problem if isinstance(problem, OSError) else None
                raise Unavailable(self._why(problem)) from cause
            time.sleep(_RETRY_EVERY_S)

    def _exchange(self, commands: Sequence[str], payload: str, answer_s: float) -> str:
        return _say(self.path, ";".join(commands), payload, answer_s)

    def _why(self, problem: OSError | str) -> str:
        if not isinstance(problem, OSError):
            return f"{self.path}: {problem}"
        if problem.errno in _DENIED:
            cure = "let lbsync's user into the socket's group and give the socket `mode 660`"
        elif problem.errno == errno.ENOENT and not Path(self.path).parent.is_dir():
            cure = "its directory does not exist; is the path right?"
        else:
            cure = "is HAProxy running, with this socket?"
        return f"{self.path}: {problem.strerror or problem}: {cure}"


class MasterSocket(CommandSocket):
    """The socket of `haproxy -W -S PATH`."""

    def show_proc(self, *, retry_s: float | None = None) -> answers.Master:
        """Return the master and its workers. Raises `Unavailable`."""
        return answers.parse_proc(self.ask("show proc", retry_s=retry_s, may_be_empty=False))

    def reload(self, answer_s: float) -> str:
        """Ask for a reload; return what HAProxy said to it, within `answer_s` seconds.

        2.6 says nothing at all; since 2.7 the answer comes when the reload is over and starts with
        `Success=1` or `Success=0`. Empty also when the connection broke: whether the reload took
        place must be found out otherwise. Raises `Unavailable` when the socket refused throughout.
        """
        return self.ask("reload", answer_s=answer_s)

    def startup_logs(self) -> str:
        """Return the log of the last start or reload; empty before 2.7, which does not keep it."""
        answer = self.ask("show startup-logs")
        return answer if answer.startswith("[") else ""


class WorkerSocket(CommandSocket):
    """The runtime API of the worker that serves now: directly, or through the master (`@1`)."""

    def __init__(self, path: str, retry_s: float, prefix: str = "", instead: str = "") -> None:
        """`prefix` of each command. `instead`: the master's socket, for when nobody listens at
        `path` (a socket file that was removed comes back only when HAProxy starts anew), or this
        user may not open it."""
        super().__init__(path, retry_s)
        self._prefix = prefix
        self._instead = instead

    def show_info(self, *, retry_s: float | None = None) -> dict[str, str]:
        """Return `show info` as field to value. Raises `Unavailable`."""
        return answers.parse_info(self._show("show info", retry_s))

    def identity(self, *, retry_s: float | None = None) -> dict[str, str]:
        """Return `Pid` and `description` of `show info`. Raises `Unavailable`."""
        return parse_identity(self._show("show info", retry_s))

    def show_servers(self, backend: str = "") -> list[answers.ServerState]:
        """Return the state of every server, or of those of one backend.

        30,000 take HAProxy 45 ms (measured).
        """
        if not backend:
            return answers.parse_servers(self.servers_state())
        return answers.parse_servers(self._show(f"show servers state {backend}"))

    def servers_of(self, backends: Iterable[str]) -> list[answers.ServerState]:
        """Return the state of the servers of these backends; one that is not there has none.

        Raises `Unavailable`.
        """
        found: list[answers.ServerState] = []
        for texts in self.batches([f"show servers state {name}" for name in backends]):
            for reply in answers.split_replies(self.run(texts), len(texts)):
                if reply.strip() not in answers.NO_BACKEND:
                    found += answers.parse_servers(f"{reply}\n")
        return found

    def servers_state(self) -> str:
        """Return `show servers state` as it is, which is what a state file holds."""
        return self._show("show servers state")

    def counters(self) -> str:
        """Return `dump stats-file` as it is: what has a `guid`, as a stats file holds it.

        3,000 servers take HAProxy 15 ms (measured). Raises `Unavailable`, before 3.0 always.
        """
        answer = self._show("dump stats-file")
        if not answer.startswith("#"):
            raise Unavailable(f"'dump stats-file' answered something else: {answer[:200]!r}")
        return answer

    def show_maps(self) -> list[answers.MapState]:
        """Return the loaded maps with their number of entries."""
        return answers.parse_maps(self._show("show map"))

    def runtime(self, commands: Sequence[str]) -> list[str]:
        """Run commands that each answer without an empty line; return their replies in order.

        They are joined with `;` into lines below the length that all releases take. The caller has
        escaped `;`, space and backslash in values. Raises `Unavailable`; how many of the commands
        ran is then unknown, and must be read back.
        """
        replies: list[str] = []
        for batch in self.batches(commands):
            replies += answers.split_replies(self.ask(*batch), len(batch))
        return replies

    def run(self, commands: Sequence[str], payload: str = "") -> str:
        """Run commands as one line, once; return the whole answer as it is.

        `payload` belongs to the last command: whole lines, none of them empty. The caller keeps the
        line and the payload below `BATCH_BYTES` each. Never tried again, since nobody knows how
        much of it ran: raises `Unavailable` at the first refusal.
        """
        return self.ask(*commands, payload=payload, retry_s=0.0)

    def batches(self, commands: Iterable[str]) -> Iterator[list[str]]:
        """Cut commands into groups of which each fits into one line of `BATCH_BYTES`."""
        batch: list[str] = []
        size = 0
        for command in commands:
            length = len(_CURRENT) + len(command.encode()) + 1
            if batch and size + length > BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append(command)
            size += length
        if batch:
            yield batch

    def _show(self, command: str, retry_s: float | None = None) -> str:
        return self.ask(command, retry_s=retry_s, may_be_empty=False)

    def _exchange(self, commands: Sequence[str], payload: str, answer_s: float) -> str:
        try:
            return _through(self.path, self._prefix, commands, payload, answer_s)
        except OSError as error:
            # These come from connecting: nothing of the line was heard.
            if not self._instead or error.errno not in _NEVER_HEARD:
                raise
            try:
                return _through(self._instead, _CURRENT, commands, payload, answer_s)
            except OSError:
                raise error from None


def _through(path: str, prefix: str, commands: Sequence[str], payload: str, answer_s: float) -> str:
    line = ";".join(prefix + command for command in commands)
    answer = _say(path, line, payload, answer_s)
    if prefix and _NO_WORKER.match(answer.encode()):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the master has no worker")
    return answer


def _say(path: str, line: str, payload: str, answer_s: float) -> str:
    """Send one line, close the writing side, return the whole answer. Raises `OSError`.

    That there is no worker is the whole answer as soon as it begins: while HAProxy 3.2 and 3.4 start,
    they leave some of these connections open after it (2 to 15 % of them, measured).
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(answer_s)
        connection.connect(path)
        text = f"{line} <<\n{payload}\n" if payload else f"{line}\n"
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        parts = bytearray()
        while data := connection.recv(1 << 18):
            parts += data
            if _NO_WORKER.match(parts):
                break
    return parts.decode(errors="replace")


def master(options: HaproxyOptions) -> MasterSocket | None:
    """Return the master socket, or None where the settings name none."""
    if not options.master_socket:
        return None
    return MasterSocket(options.master_socket, REFUSED_S)


def worker(options: HaproxyOptions) -> WorkerSocket:
    """Return the runtime API: the stats socket where the settings name one, else the master's.

    A stats socket that nobody listens on any more, or that this user may not open, is done without
    where there is a master's.
    """
    if options.stats_socket:
        return WorkerSocket(options.stats_socket, REFUSED_S, instead=options.master_socket)
    return WorkerSocket(options.master_socket, REFUSED_S, _CURRENT)


def through_master(options: HaproxyOptions) -> WorkerSocket | None:
    """Return the runtime API through the master socket, or None where the settings name none."""
    if not options.master_socket:
        return None
    return WorkerSocket(options.master_socket, REFUSED_S, _CURRENT)


def stats(options: HaproxyOptions) -> WorkerSocket:
    """Return the stats socket itself, or the master's where the settings name none."""
    if options.stats_socket:
        return WorkerSocket(options.stats_socket, REFUSED_S)
    return worker(options)
