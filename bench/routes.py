"""Another tenant's change while all hosts of many services are exchanged: what one writer's largest legal
values cost everybody. `python -m bench.routes --help`.
"""

import argparse
import tempfile
import time
from pathlib import Path

from bench.figures import row
from harness.agent import AgentProcess, command
from harness.haproxy import binaries
from harness.stack import Stack, servers

HOSTS, PATHS = 1000, 5
#: A wait is as long as the pass that is under way, and one more; both grow with the lines that change.
LIMIT_S = 30.0


def _tenant(services: int, generation: str, paths: int) -> dict[str, object]:
    return {
        f"services/x/y{number}": {
            "mode": "http",
            "hosts": [f"{generation}{host}.y{number}.example" for host in range(HOSTS)],
            "paths": [f"/p{path}" for path in range(paths)],
        }
        for number in range(services)
    }


def _measure(stack: Stack, agent: AgentProcess, services: int, paths: int) -> float:
    agent.wait_for_revision(stack.put(_tenant(services, "a", paths)), timeout=120)
    web = stack.web(f"new-{services}-{paths}")
    stack.put(_tenant(services, "b", paths))
    time.sleep(0.05)
    began = time.monotonic()
    revision = stack.put({"endpoints/shop/web/default": servers(web)})
    agent.wait_for_revision(revision, timeout=300)
    assert stack.get("shop.example").body == web.name
    return time.monotonic() - began


def main() -> int:
    """Measure, print the figures; return 1 when a limit was not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.routes", description=__doc__)
    parser.add_argument("--services", type=int, nargs="*", default=[1, 2, 8, 40])
    args = parser.parse_args()
    kept = True
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(Path(directory), binaries()["2.6"])
        agent = AgentProcess(stack)
        try:
            stack.start()
            stack.put(
                {
                    "services/shop/web": {"mode": "http", "hosts": ["shop.example"]},
                    "endpoints/shop/web/default": servers(stack.web("old")),
                }
            )
            command(stack, "prepare")
            stack.haproxy.start()
            agent.start()
            for services in args.services:
                spent = _measure(stack, agent, services, PATHS)
                what = f"{services * HOSTS * PATHS} routes exchanged: another's change is verified after"
                row(what, f"{spent:.2f} s", f"< {LIMIT_S:.0f} s", spent < LIMIT_S)
                kept = kept and spent < LIMIT_S
        finally:
            agent.stop()
            stack.stop()
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
