"""`lbsync console` as a process of its own, and what a client sees of it."""

import http.client
import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import launch
from harness.ports import free_port
from harness.wait import wait_until


class ConsoleProcess:
    """One console on a free port of loopback, reading one prefix of etcd."""

    def __init__(self, directory: Path, urls: Sequence[str], prefix: str, **console: Any) -> None:
        """`console`: fields of `[console]`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.log = directory / "console.log"
        self.config_file = directory / "lbsync.toml"
        self._urls, self._prefix = list(urls), prefix
        self._process: launch.Process | None = None
        self._tls: ssl.SSLContext | None = None
        self.configure(**console)

    def configure(self, **console: Any) -> None:
        """Write the settings."""
        fields = {"bind": f"127.0.0.1:{self.port}", **console}
        lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        self.config_file.write_text(
            f'prefix = "{self._prefix}"\nstate_dir = "{state}"\nhost = "console"\n'
            f"[etcd]\nendpoints = {json.dumps(self._urls)}\ntimeout = '3s'\n"
            "[console]\n" + "\n".join(lines) + "\n"
        )
        if "tls_cert" in console:
            self._tls = ssl.create_default_context()
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE

    def command(self, *words: str) -> str:
        """Run another command with the same settings; return what it says."""
        ended = launch.run(["--config", str(self.config_file), *words])
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def start(self, *flags: str, ready: bool = True) -> "ConsoleProcess":
        """Start it, with more flags; with `ready`, wait until it answers."""
        words = ["--config", str(self.config_file), "--log-format", "json", *flags, "console"]
        with self.log.open("ab") as log:
            self._process = launch.start(words, stdout=log, stderr=log, environ=os.environ)
        if ready:
            wait_until("the console to answer", lambda: self.get("/healthz")[0] == 200, timeout=30)
        return self

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], str]:
        """Ask for a page; return status, headers and text. Raises OSError when it does not answer."""
        return self.ask("GET", path, "", headers)

    def ask(
        self, method: str, path: str, body: str, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], str]:
        """Ask anything; see `get`. Redirects are not followed."""
        connection = self._connection(60)
        try:
            connection.request(method, path, body or None, {"Accept": "text/html", **headers})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, told, answer.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    @contextmanager
    def stream(self, path: str, **headers: str) -> Iterator[Iterator[tuple[str, str, str]]]:
        """Follow a live page for a `with` block: yield its events as (kind, id, data)."""
        connection = self._connection(60)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            yield _events(answer)
        finally:
            answer.close()
            connection.close()

    def raw(self) -> socket.socket:
        """Return a plain connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), 30)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait for its end; return the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=timeout, context=self._tls
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str, str]]:
    fields: dict[str, list[str]] = {}
    while line := answer.readline().decode():
        name, _, value = line.rstrip("\n").partition(":")
        if line != "\n":
            fields.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "event" in fields:
            yield fields["event"][0], fields.get("id", [""])[0], "\n".join(fields.get("data", []))
        fields = {}
