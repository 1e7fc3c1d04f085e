"""Real etcd processes on free loopback ports: one node or a cluster, plain, TLS or with auth."""

import base64
import http.client
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from harness.certificates import Authority
from harness.ports import free_port
from harness.wait import wait_until
from lbsync.clients.etcd.source import EtcdSource
from lbsync.settings import Duration, Endpoint
from lbsync.settings import Etcd as Settings
from lbsync.values.basic import FilePath


def etcd_settings(
    urls: Iterable[str], *, timeout: float = 5.0, resync: float = 300.0, **more: str
) -> Settings:
    """Return `[etcd]` of the settings; times in seconds."""
    files = {name: FilePath(text) if name != "user" else text for name, text in more.items()}
    return Settings(
        endpoints=tuple(map(Endpoint.parse, urls)),
        timeout=Duration(round(timeout * 1000)),
        resync=Duration(round(resync * 1000)),
        **files,  # type: ignore[arg-type] # `user` is the one that is no path
    )


def open_etcd(urls: Iterable[str], prefix: str = "/lbsync/", **settings: Any) -> EtcdSource:
    """Return a source; `settings` are those of `etcd_settings`, and `quiet` and `page_size`."""
    own = {name: settings.pop(name) for name in ("quiet", "page_size") if name in settings}
    return EtcdSource(etcd_settings(urls, **settings), prefix, **own)


def installed() -> bool:
    """Return whether etcd and its etcdctl can be run here."""
    return shutil.which("etcd") is not None and shutil.which("etcdctl") is not None


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode()


class EtcdNode:
    """One member. Its ports, name and data directory stay the same over restarts."""

    def __init__(self, directory: Path, name: str = "node0", *, token: str = "lbsync") -> None:
        self.name = name
        self.directory = directory / name
        self.data = self.directory / "data"
        self.log = self.directory / "etcd.log"
        self.port, self.peer_port = free_port(), free_port()
        self.scheme = "http"
        self.token = token
        self.initial_cluster = f"{name}={self.peer_url}"
        self.extra: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> Endpoint:
        """Client URL."""
        return Endpoint(f"{self.scheme}://127.0.0.1:{self.port}")

    @property
    def peer_url(self) -> str:
        """URL for the other members; always plain."""
        return f"http://127.0.0.1:{self.peer_port}"

    @property
    def pid(self) -> int:
        """Process id; raises when the node does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def launch(self) -> None:
        """Start the process without waiting for it to answer."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [
            "etcd",
            *("--name", self.name, "--data-dir", str(self.data)),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url),
            *("--initial-cluster", self.initial_cluster, "--initial-cluster-token", self.token),
            *("--log-level", "warn", "--unsafe-no-fsync"),
            *self.extra,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def running(self) -> bool:
        """Return whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, such as SIGSTOP."""
        os.kill(self.pid, number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process and wait until it is gone. No error when it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(number)
            self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process = None

    def kill(self) -> None:
        """End the process with SIGKILL."""
        self.stop(signal.SIGKILL)

    def wipe(self) -> None:
        """Remove all data of a stopped node."""
        shutil.rmtree(self.data, ignore_errors=True)

    def save(self) -> Path:
        """Copy the data of a stopped node; return where to."""
        copy = self.directory / "data.saved"
        shutil.rmtree(copy, ignore_errors=True)
        return Path(shutil.copytree(self.data, copy))

    def restore(self, saved: Path) -> None:
        """Put a copy of the data back in place of what a stopped node has."""
        self.wipe()
        shutil.copytree(saved, self.data)


class Etcd:
    """A cluster of one or more nodes, driven by etcdctl."""

    def __init__(self, directory: Path, nodes: int = 1, *, token: str = "lbsync") -> None:
        self.directory = directory
        self.nodes = [EtcdNode(directory, f"node{i}", token=token) for i in range(nodes)]
        everyone = ",".join(f"{node.name}={node.peer_url}" for node in self.nodes)
        self.flags: list[str] = []
        for node in self.nodes:
            node.initial_cluster = everyone
            # Quick elections; on a noisy machine shorter ones would be held without cause.
            node.extra += ["--heartbeat-interval", "100", "--election-timeout", "1000"]

    def secure(self, authority: Authority, *, server: tuple[Path, Path] | None = None) -> "Etcd":
        """Serve TLS only, and only to clients with a certificate of `authority`. Before `start`.

        `server`: certificate and key of all members, where not a good one is wanted.
        """
        certificate, key = server or authority.sign("server")
        for node in self.nodes:
            node.scheme = "https"
            node.extra += ["--cert-file", str(certificate), "--key-file", str(key)]
            node.extra += ["--client-cert-auth", "--trusted-ca-file", str(authority.ca)]
        certificate, key = authority.sign("etcdctl")
        self.flags += [f"--cacert={authority.ca}", f"--cert={certificate}", f"--key={key}"]
        return self

    def demand_password(self, user: str, password: str, *, prefix: str) -> None:
        """Switch authentication on, with `user` allowed below `prefix` only. After `start`."""
        self.ctl("user", "add", "root:root")
        self.ctl("user", "grant-role", "root", "root")
        self.ctl("user", "add", f"{user}:{password}")
        self.ctl("role", "add", "part")
        self.ctl("role", "grant-permission", "part", "readwrite", prefix, "--prefix=true")
        self.ctl("user", "grant-role", user, "part")
        self.ctl("auth", "enable")
        self.flags += ["--user=root:root"]

    def compact(self) -> int:
        """Forget all history up to now; return the revision."""
        status = self.ctl("endpoint", "status", "-w", "fields").splitlines()
        revision = max(int(line.split(" : ")[1]) for line in status if line.startswith('"Revision'))
        self.ctl("compact", "--physical", str(revision))
        return revision

    @property
    def node(self) -> EtcdNode:
        """The first member; the only one of a single-node cluster."""
        return self.nodes[0]

    @property
    def urls(self) -> tuple[Endpoint, ...]:
        """Client URLs of all members."""
        return tuple(node.url for node in self.nodes)

    def start(self) -> "Etcd":
        """Start whatever does not run and wait until the cluster answers."""
        for node in self.nodes:
            if not node.running():
                node.launch()
        wait_until("etcd to answer", self.answers, timeout=60, every=0.05)
        return self

    def stop(self) -> None:
        """End all members, and wait for them; their data stays."""
        for node in self.nodes:
            node.kill()

    def answers(self) -> bool:
        """Return whether a linearizable read succeeds."""
        if not all(node.running() for node in self.nodes):
            logs = "\n".join(node.log.read_text()[-2000:] for node in self.nodes)
            raise RuntimeError(f"etcd ended by itself:\n{logs}")
        if self.flags:
            probe = self._run(["--command-timeout=1s", "get", "/"], check=False)
            return probe.returncode == 0
        try:
            return self._post("/v3/kv/range", {"key": _base64(b"/")}, timeout=1.0) == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False

    def clear(self) -> None:
        """Delete all keys of a cluster that is neither secured nor wants a password."""
        body = dict.fromkeys(("key", "range_end"), _base64(b"\0"))
        wait_until(
            "etcd to delete its keys",  # one that was frozen may look for a leader first
            lambda: self._post("/v3/kv/deleterange", body, timeout=30.0) == HTTPStatus.OK,
            timeout=60,
        )

    def _post(self, path: str, body: dict[str, str], *, timeout: float) -> int:
        """Ask the first member over its gateway (gRPC as JSON): to start etcdctl takes twenty times as long."""
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port, timeout=timeout)
        try:
            connection.request("POST", path, json.dumps(body))
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def ctl(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Run etcdctl on all endpoints; return what it prints. Raises when it fails."""
        return self._run(arguments, stdin=stdin).stdout.decode()

    def put(self, key: str, value: str | bytes) -> None:
        """Write one key (with its prefix)."""
        data = value if isinstance(value, bytes) else value.encode()
        self.ctl("put", key, stdin=data)

    def delete(self, key: str, *flags: str) -> None:
        """Delete one key, or more with `--prefix`."""
        self.ctl("del", key, *flags)

    def leader(self) -> EtcdNode:
        """Return the member that leads now."""
        for node in self.nodes:
            if node.running():
                status = self._run(["endpoint", "status", "-w", "fields"], urls=[node.url])
                fields = dict(
                    line.split(" : ", 1) for line in status.stdout.decode().splitlines() if line
                )
                if fields['"MemberID"'] == fields['"Leader"']:
                    return node
        raise RuntimeError("no member leads")

    def _run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes | None = None,
        urls: Sequence[str] = (),
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        endpoints = ",".join(urls or self.urls)
        return subprocess.run(
            ["etcdctl", f"--endpoints={endpoints}", *self.flags, *arguments],
            input=stdin,
            env={**os.environ, "ETCDCTL_API": "3"},
            capture_output=True,
            check=check,
            timeout=60,
        )
