"""The agent's passes: change to served by a reload, cold start, CPU, memory, dry-run.

python -m bench.passes [--binary PATH] [--changes N] [--sizes 1000,10000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.figures import median, p99, row
from bench.scale import (
    cpu_seconds,
    endpoints,
    fill,
    idle_share,
    live_config,
    name_of,
    rss_mb,
    service,
)
from harness.agent import AgentProcess, command
from harness.haproxy import binaries
from harness.stack import Stack
from harness.wait import wait_until

_MEMORY_MB = {1000: 80.0, 10_000: 250.0}


def main() -> None:
    """Run at each size and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--binary", default=binaries().get("2.6"))
    parser.add_argument("--changes", type=int, default=15)
    parser.add_argument("--sizes", default="1000,10000")
    args = parser.parse_args()
    dry_run()
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            one_size(Path(directory), args.binary, size, args.changes)


def one_size(directory: Path, binary: str, size: int, changes: int) -> None:
    """Measure everything for one number of services."""
    stack = Stack(directory, binary)
    agent = AgentProcess(stack)
    try:
        stack.start()
        webs = [stack.web(name) for name in "abc"]
        fill(stack, size, *webs)
        command(stack, "prepare")
        stack.haproxy.start()
        began = time.monotonic()
        agent.start(ready=False)
        host = f"h{size - 1}.example"
        wait_until("the last service", lambda: stack.get(host).body in "abc", timeout=60)
        cold = time.monotonic() - began
        limit = 5.0 if size == 10_000 else None
        row(
            f"{size} services: cold start to served",
            f"{cold:.2f} s",
            "at most 5 s" if limit else "",
            cold <= limit if limit else None,
        )
        wait_until("confirmed", lambda: agent.status().get("state") == "confirmed", timeout=60)
        bare = [check_and_reload(stack) for _ in range(5)]
        agent.stop()
        agent.start()
        served(stack, agent, size, changes, median(bare))
        memory = rss_mb(agent.pid)
        row(
            f"{size} services: resident memory",
            f"{memory:.0f} MB",
            f"at most {_MEMORY_MB.get(size, 0):.0f} MB",
            memory <= _MEMORY_MB.get(size, 1e9),
        )
        share = idle_share(agent.pid, 20.0)
        row(
            f"{size} services: idle CPU",
            f"{share * 100:.2f} % of a core",
            "under 0.5 %",
            share < 0.005,
        )
    finally:
        agent.stop()
        stack.stop()


def check_and_reload(stack: Stack) -> float:
    """Return the seconds of `haproxy -c` and a bare reload of what is live, until it serves."""
    began = time.monotonic()
    config = str(live_config(stack))
    subprocess.run([stack.haproxy.binary, "-c", "-f", config], check=True, capture_output=True)
    before = stack.haproxy.ask("@1 show info")
    pid = next(line for line in before.splitlines() if line.startswith("Pid:"))
    stack.haproxy.ask("reload")
    wait_until("a new worker", lambda: _pid_changed(stack, pid), every=0.002)
    return time.monotonic() - began


def _pid_changed(stack: Stack, pid: str) -> bool:
    answer = stack.haproxy.ask("@1 show info")
    return "Pid:" in answer and pid not in answer.splitlines()


def served(stack: Stack, agent: AgentProcess, size: int, changes: int, bare: float) -> None:
    """Change one service at a time in a way that needs a reload; time it until it is served."""
    target = stack.web("target")
    seconds, cpu = [], []
    for number in range(changes):
        name, host = f"bench/new{number}", f"new{number}.example"
        record = {**service(number), "hosts": [host]}
        used, began = cpu_seconds(agent.pid), time.monotonic()
        revision = stack.put(
            {f"services/{name}": record, f"endpoints/{name}/default": endpoints(target)}
        )
        wait_until(
            host, partial(lambda h: stack.get(h).body == "target", host), every=0.002, timeout=30
        )
        seconds.append(time.monotonic() - began)
        agent.wait_for_revision(revision)
        cpu.append(cpu_seconds(agent.pid) - used)
    ratio = median(seconds) / bare
    row(f"{size} services: `haproxy -c` + bare reload, median", f"{bare * 1000:.0f} ms")
    row(
        f"{size} services: put to served by a reload, median / p99",
        f"{median(seconds) * 1000:.0f} / {p99(seconds) * 1000:.0f} ms",
    )
    limited = size == 1000
    row(
        f"{size} services: ratio of the two",
        f"{ratio:.2f}",
        "at most 1.3" if limited else "",
        ratio <= 1.3 if limited else None,
    )
    own = median(cpu) * 1000
    row(
        f"{size} services: the agent's own CPU for a pass, median",
        f"{own:.0f} ms",
        "at most 300 ms",
        own <= 300,
    )


def dry_run() -> None:
    """Time `lbsync render --dry-run` of 100 services, process start included."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for number in range(100):
            for key, value in (
                (f"services/{name_of(number)}", service(number)),
                (
                    f"endpoints/{name_of(number)}/default",
                    {"servers": [{"name": "a", "address": "10.0.0.1", "port": 80}]},
                ),
            ):
                path = root / f"{key}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(value))
        argv = [sys.executable, "-m", "lbsync", "--source", f"file:{root}", "render", "--dry-run"]
        seconds = []
        for _ in range(7):
            began = time.monotonic()
            subprocess.run(argv, check=True, capture_output=True)
            seconds.append(time.monotonic() - began)
    row(
        "100 services: `lbsync render --dry-run`, median",
        f"{median(seconds):.2f} s",
        "at most 0.5 s",
        median(seconds) <= 0.5,
    )


if __name__ == "__main__":
    main()
