"""`lbsync publish` as a process of its own, between a fake cluster and a real store."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import launch
from harness.etcd import open_etcd
from harness.fake_kube import FakeKube
from harness.stack import CLAIMS
from harness.wait import wait_until
from lbsync.values.addresses import Endpoint


class Store:
    """What is stored below one prefix, read and written directly."""

    def __init__(self, urls: Sequence[Endpoint], prefix: str = "/lbsync/") -> None:
        self.urls = tuple(urls)
        self.prefix = prefix
        self.client = open_etcd(self.urls, prefix)

    def value(self, key: str) -> Any:
        """Return one value; None where there is none."""
        item = self.client.get(key)
        return json.loads(item.value) if item else None

    def present(self, *kinds: str) -> list[str]:
        """Return the keys, or those of the given kinds (first segments)."""
        found = sorted(self.client.snapshot().items)
        return [key for key in found if not kinds or key.partition("/")[0] in kinds]

    def revisions(self, *kinds: str) -> dict[str, int]:
        """Return the revision of the last change of each key of these kinds."""
        found = self.client.snapshot().items.values()
        return {i.key: i.mod_revision for i in found if i.key.partition("/")[0] in kinds}

    def addresses(self, service: str, group: str = "default") -> list[str]:
        """Return the addresses of the servers of one group that take requests."""
        found = self.value(f"endpoints/{service}/{group}")
        servers = found["servers"] if found else []
        return [s["address"] for s in servers if s.get("state", "up") == "up"]

    def leader(self, cluster: str = "default") -> str:
        """Return who leads; empty: nobody."""
        found = self.value(f"publishers/{cluster}/leader")
        return str(found["identity"]) if found else ""

    def close(self) -> None:
        """Close the client."""
        self.client.close()


class PublisherProcess:
    """One running publisher. Several with one directory need names of their own."""

    def __init__(self, store: Store, fake: FakeKube, directory: Path, *, name: str = "p") -> None:
        self._store = store
        self.directory = directory
        self.log_file = directory / f"{name}.log"
        self.config_file = directory / f"{name}.toml"
        self.kubeconfig = fake.kubeconfig(directory / f"{name}.kubeconfig")
        self._process: launch.Process | None = None
        self.configure()

    def configure(self, **publisher: Any) -> "PublisherProcess":
        """Write the settings; fields of `[publisher]` may be given."""
        fields = {"kubeconfig": str(self.kubeconfig), "address_mode": "pod", **publisher}
        lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
        self.config_file.write_text(
            f'prefix = "{self._store.prefix}"\n'
            f"[etcd]\nendpoints = {json.dumps(self._store.urls)}\ntimeout = '2s'\n"
            f"{CLAIMS}[publisher]\n" + "\n".join(lines) + "\n"
        )
        return self

    def start(self, level: str = "info") -> "PublisherProcess":
        """Start it, with this level of its log."""
        with self.log_file.open("ab") as log:
            words = ["--log-format", "json", "--log-level", level, "publish"]
            self._process = launch.start([*self._config, *words], stdout=log, stderr=log)
        return self

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command with the same settings to its end."""
        return launch.run([*self._config, *words])

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def identity(self) -> str:
        """What it calls itself."""
        return f"{os.uname().nodename}/{self.pid}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing when it has ended."""
        assert self._process is not None
        self._process.send_signal(number)

    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged, one object a line."""
        lines = self.log_file.read_text().splitlines() if self.log_file.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, words: str) -> bool:
        """Tell whether a line of the log contains these words."""
        return any(words in line["event"] for line in self.log())

    def wait_until_said(self, words: str, timeout: float = 60.0) -> None:
        """Wait for such a line."""
        wait_until(f"the publisher to say {words!r}", lambda: self.said(words), timeout=timeout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it; return the exit code. Does nothing when it has ended."""
        if self._process is None:
            return 0
        self.send(number)
        self.send(signal.SIGCONT)
        code = self._process.wait(60)
        self._process = None
        return code

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.stop(signal.SIGKILL)

    @property
    def _config(self) -> list[str]:
        return ["--config", str(self.config_file)]
