"""`lbsync agent` as a process of its own, told and watched as systemd would."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import launch
from harness.stack import Stack
from harness.wait import wait_until


def command(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one `lbsync` command with the stack's settings to its end."""
    return launch.run(["--config", str(stack.config_file), *words])


class AgentProcess:
    """An `lbsync agent` of its own process, on the stack's etcd and HAProxy."""

    def __init__(self, stack: Stack, *, within: Sequence[str] = ()) -> None:
        """`within`: a program and its arguments that runs the agent in its place, like `unshare`."""
        self._stack = stack
        self._within = within
        self.log = stack.directory / "agent.log"
        self._notify: socket.socket | None = None
        self._said: list[str] = []
        self._process: launch.Process | None = None

    def start(self, *, ready: bool = True) -> "AgentProcess":
        """Start it; with `ready`, wait until it said READY=1, as systemd does."""
        address = self._stack.run / "notify.sock"
        address.unlink(missing_ok=True)
        self._said = []
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(address))
        self._notify.setblocking(False)
        words = ["--config", str(self._stack.config_file), "--log-format", "json", "agent"]
        environ = {**os.environ, "NOTIFY_SOCKET": str(address)}
        with self.log.open("ab") as log:
            if self._within:
                argv = [*self._within, sys.executable, "-m", "lbsync", *words]
                self._process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
                )
            else:
                self._process = launch.start(words, stdout=log, stderr=log, environ=environ)
        if ready:
            wait_until("the agent to be ready", lambda: "READY=1" in self.notified(), timeout=60)
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def notified(self) -> list[str]:
        """Return every line the agent sent to systemd so far."""
        assert self._notify is not None
        while True:
            try:
                self._said += self._notify.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self._said

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing when it has ended."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """Wait for its end; return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self) -> int:
        """End it politely; return the exit code. Does nothing when it has ended."""
        if self._process is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            raise
        finally:
            self._forget()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.signal(signal.SIGKILL)
        try:
            self.wait()
        finally:
            self._forget()

    def _forget(self) -> None:
        self._process = None
        if self._notify is not None:
            self._notify.close()
            self._notify = None

    def status(self) -> dict[str, Any]:
        """Return what the agent last wrote of itself; empty before it wrote anything."""
        if self._notify is not None:
            self.notified()  # as systemd would: a queue nobody reads would hold the agent up
        try:
            path = Path(self._stack.state) / "status.json"
            found: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def wait_for_revision(self, revision: int, timeout: float = 60.0) -> None:
        """Wait until the agent has verified that HAProxy serves `revision` or a later one."""
        wait_until(
            f"revision {revision} to be served",
            lambda: self.status().get("revision", 0) >= revision,
            timeout=timeout,
        )
