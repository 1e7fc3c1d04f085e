"""The agent's HTTP: processor time of a scrape, memory with it and without.

python -m bench.http [--binary PATH] [--size 10000] [--scrapes 100]
"""

import argparse
import http.client
import tempfile
import time
from pathlib import Path

from bench.figures import median, row
from bench.scale import cpu_seconds, fill, rss_mb
from harness.agent import AgentProcess, command
from harness.haproxy import binaries
from harness.ports import free_port
from harness.stack import Stack
from harness.wait import wait_until

_SETTLE_S = 12.0
"""Passes come every ten seconds: one is among it."""


def main() -> None:
    """Start the agent without HTTP, then with it, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--binary", default=binaries().get("2.6"))
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--scrapes", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        measure(Stack(Path(directory), args.binary), args.size, args.scrapes)


def measure(stack: Stack, size: int, scrapes: int) -> None:
    """Measure one number of services."""
    try:
        stack.start()
        fill(stack, size, *(stack.web(name) for name in "abc"))
        command(stack, "prepare")
        stack.haproxy.start()
        started(stack, 0, 0)
        before = [started(stack, 0, 0)[0] for _ in range(3)]
        port = free_port()
        text = stack.config_file.read_text()
        bind = f'[agent]\nhttp_bind = "127.0.0.1:{port}"\n'
        stack.config_file.write_text(text.replace("[agent]\n", bind))
        found = [started(stack, port, scrapes) for _ in range(3)]
        after = [memory for memory, _ in found]
        more = median(after) - median(before)
        spent = median([seconds for _, seconds in found]) * 1000
        row(
            f"{size} services: /metrics, processor time",
            f"{spent:.1f} ms",
            "at most 20 ms",
            spent <= 20,
        )
        row(
            f"{size} services: memory with HTTP on", f"{more:+.1f} MB", "at most +10 MB", more <= 10
        )
    finally:
        stack.stop()


def started(stack: Stack, port: int, scrapes: int) -> tuple[float, float]:
    """Return memory in MB and seconds of processor time for a scrape, of a fresh agent."""
    agent = AgentProcess(stack).start(ready=False)
    try:
        wait_until("the first pass", lambda: "READY=1" in agent.notified(), timeout=180)
        time.sleep(_SETTLE_S)
        before = cpu_seconds(agent.pid)
        for _ in range(scrapes):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asked.request("GET", "/metrics")
            assert b"lbsync_services" in asked.getresponse().read()
            asked.close()
        spent = (cpu_seconds(agent.pid) - before) / max(scrapes, 1)
        return rss_mb(agent.pid), spent
    finally:
        agent.stop()


if __name__ == "__main__":
    main()
