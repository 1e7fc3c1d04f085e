"""What a large cluster costs the client that watches it: `python -m bench.kubernetes`.

The API server is the fake one, in a process of its own; so is the client, whose memory is measured.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench.figures import median, p99, row
from harness.fake_kube import FakeKube
from harness.fake_kube.objects import endpoint, endpoint_slice, service
from harness.wait import wait_until
from lbsync.clients.kube import (
    ENDPOINT_SLICES,
    NODES,
    SERVICES,
    Change,
    Client,
    Cluster,
    Watch,
)
from lbsync.clients.kube.auth import kubeconfig

SERVICES_COUNT = 5000
ENDPOINTS_EACH = 20
NUDGES = 100


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "kubeconfig"
        server = subprocess.Popen(
            [sys.executable, "-m", "bench.kubernetes", "serve", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with server:
            assert server.stdout is not None
            assert server.stdin is not None
            server.stdout.readline()
            client = subprocess.run(
                [sys.executable, "-m", "bench.kubernetes", "watch", str(config)],
                check=True,
                stdout=subprocess.PIPE,
                timeout=120,
            )
            server.stdin.close()
    report(json.loads(client.stdout.splitlines()[-1]))


def report(found: dict[str, float]) -> None:
    size = f"{SERVICES_COUNT} Services and slices of {ENDPOINTS_EACH}"
    row(f"{size}: listed and decoded", f"{found['sync']:.2f} s", "at most 2 s", found["sync"] <= 2)
    row(f"{size}: memory of the process", f"{found['rss']:.0f} MB", "at most 150 MB",
        found["rss"] <= 150)  # fmt: skip
    row(f"{size}: compared again", f"{found['relist']:.2f} s")
    row(f"{size}: memory after that", f"{found['rss_after']:.0f} MB", "at most 150 MB",
        found["rss_after"] <= 150)  # fmt: skip
    row("a write at the API server to the callback, median", f"{found['event'] * 1000:.1f} ms")
    row("  the same, p99", f"{found['event_p99'] * 1000:.1f} ms")


def serve(config: Path) -> None:
    fake = FakeKube().start()
    for number in range(SERVICES_COUNT):
        namespace, name = f"team-{number % 50}", f"service-{number}"
        fake.put(service(name, namespace, annotations={"lbsync.io/hosts": f"{name}.example"}))
        endpoints = [
            endpoint(
                f"10.{number % 250}.{number // 250}.{index}",
                pod=f"{name}-7f5f7cbd6b-{index:05}",
                serving=True,
                terminating=False,
                nodeName=f"node-{index}",
                zone=f"zone-{index % 3}",
            )
            for index in range(ENDPOINTS_EACH)
        ]
        fake.put(endpoint_slice(f"{name}-abcde", name, endpoints, namespace))
    fake.kubeconfig(config)
    print("ready", flush=True)
    try:
        wait_until(
            "three watches",
            lambda: sum("watch=true" in seen.target for seen in fake.requests) >= 3,
            timeout=60,
        )
        for _ in range(NUDGES):
            # The time of each write travels in a label.
            labels = {"metadata": {"labels": {"at": str(time.time_ns())}}}
            fake.patch("EndpointSlice", "team-0", "service-0-abcde", labels)
            time.sleep(0.01)
        sys.stdin.read()
    finally:
        fake.stop()


def watch(config: Path) -> None:
    delays: list[float] = []

    def note(change: Change[Any]) -> None:
        labels = getattr(change.after, "labels", {})
        if "at" in labels:
            delays.append((time.time_ns() - int(labels["at"])) / 1e9)

    process = psutil.Process()
    known = kubeconfig.load([config])
    cluster = Cluster(known, [Watch(SERVICES), Watch(ENDPOINT_SLICES), Watch(NODES)], note)
    client = Client(known)
    began = time.monotonic()
    cluster.start()
    try:
        wait_until("the first sync", lambda: cluster.synced, timeout=60, every=0.005)
        found = {"sync": time.monotonic() - began, "rss": _megabytes(process)}
        wait_until("the nudges", lambda: len(delays) == NUDGES, timeout=60)
        found |= {"event": median(delays), "event_p99": p99(delays)}
        began = time.monotonic()
        for reflector in cluster.reflectors:
            listing = client.list_all(reflector.kind, keep=reflector.store.shared)
            assert reflector.store.replace(listing.entries) == []
        found |= {"relist": time.monotonic() - began, "rss_after": _megabytes(process)}
    finally:
        client.close()
        cluster.close()
    print(json.dumps(found))


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", path]:
            serve(Path(path))
        case ["watch", path]:
            watch(Path(path))
        case _:
            main()
