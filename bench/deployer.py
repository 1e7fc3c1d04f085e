"""How long a switch of plain servers takes: two real hosts, 1,000 services; `python -m bench.deployer`.

Measured from the request to `converged`, in a process that runs already (as a console does) and as a whole command with
the start of Python; and from the route's write to the decision on the last balancer's confirmation.
"""

import argparse
import contextlib
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import median, p99, row
from bench.scale import fill
from harness.agent import AgentProcess, command
from harness.etcd import Etcd, open_etcd
from harness.haproxy import binaries
from harness.stack import Stack, servers
from harness.wait import wait_until
from harness.web import WebServer
from lbsync.clients.source import Source
from lbsync.deployer import beginning, requests
from lbsync.deployer.beginning import Begun
from lbsync.deployer.engine import carry_out
from lbsync.deployer.groups import Groups
from lbsync.deployer.ledger import Ledger, new_id
from lbsync.deployer.run import Run, Tools
from lbsync.model.deploying import Strategy
from lbsync.schema.deploying import deploy_prefix
from lbsync.schema.health import health_prefix
from lbsync.schema.keys import ServiceId
from lbsync.timestamps import seconds
from lbsync.values.basic import Pause

PREFIX = "/lbsync/"
APP = ServiceId("shop", "cart")
STRATEGY = Strategy(watch=Pause(0), drain_timeout=Pause(0))
_TTL_S = 10.0


@contextlib.contextmanager
def hosts(services: int) -> Iterator[list[Stack]]:
    """Two hosts with HAProxy and agent, and a service with two groups among many others."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        etcd = Etcd(Path(name) / "etcd").start()
        stack.callback(etcd.stop)
        binary = binaries()[min(binaries())]
        made = [Stack(Path(name) / n, binary, host=n, etcd=etcd) for n in ("lb-1", "lb-2")]
        web = [stack.enter_context(WebServer(group)) for group in ("blue", "green")]
        fill(made[0], services, web[0])
        made[0].put(
            {
                "services/shop/cart": {
                    "mode": "http", "hosts": ["cart.example"], "check": {"path": "/health"},
                },
                "routes/shop/cart": {"groups": {"blue": 100}},
                **{f"endpoints/shop/cart/{one.name}": servers(one) for one in web},
            }
        )  # fmt: skip
        for one in made:
            stack.callback(one.stop)
            one.write_settings()
            prepared = command(one, "prepare")
            if prepared.returncode:
                raise RuntimeError(prepared.stderr)
            one.haproxy.start()
            agent = AgentProcess(one)
            stack.callback(agent.stop)
            agent.start()
        wait_until("both hosts", lambda: all(_serves(one) for one in made), timeout=60)
        time.sleep(3.0)  # the agents' first passes are over, and servers are checked
        yield made


def _serves(one: Stack) -> bool:
    return one.get("cart.example").body == "blue"


def switch(
    ledger: Ledger, answers: Source, news: threading.Event, group: str
) -> tuple[float, float]:
    """Switch; return seconds from the request, and from the route's write, to `converged`."""
    began = time.time()
    page = ledger.page(APP)
    record = beginning.switch(page, group, STRATEGY, Begun(new_id(), "bench", began))
    if record is None:
        raise RuntimeError(f"{group} has the traffic already")
    hold = requests.begin(ledger, page, record, "bench", ttl=_TTL_S)
    run = Run(Tools(ledger, answers, {"groups": Groups}, _TTL_S), APP, record.id, hold)
    carry_out(run, news, lambda: None, lambda: False)
    events = {event.text: seconds(event.at) for event in ledger.events(APP, record.id)}
    converged = events["2 of 2 converged"]
    written = next(at for text, at in events.items() if text.startswith("step 1"))
    return converged - began, converged - written


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--times", type=int, default=21)
    args = parser.parse_args()
    with hosts(args.services) as stacks:
        urls = stacks[0].etcd.urls
        news = threading.Event()
        store = open_etcd(urls, deploy_prefix(PREFIX))
        answers = open_etcd(urls, health_prefix(PREFIX))
        answers.start(news.set)
        ledger = Ledger(store, PREFIX, "bench")
        found = []
        for group in itertools.islice(itertools.cycle(("green", "blue")), args.times):
            found.append(switch(ledger, answers, news, group))
            time.sleep(1.2)  # hosts fall silent: nobody else asks them
        answers.close()
        store.close()
        whole = []
        for group in ("blue", "green") * 3:
            began = time.monotonic()
            ended = command(
                stacks[0],
                "switch",
                str(APP),
                group,
                "--watch",
                "0",
                "--drain-timeout",
                "0",
                "--wait",
            )
            if ended.returncode == 0:
                whole.append(time.monotonic() - began)
        for what, index, limit in (
            ("request to converged, in a process that runs", 0, 0.150),
            ("route written to last confirmation", 1, 0.030),
        ):
            values = [times[index] for times in found]
            figure = f"{median(values) * 1000:.0f} ms, p99 {p99(values) * 1000:.0f} ms"
            row(what, figure, f"median at most {limit * 1000:.0f} ms", median(values) <= limit)
        row("the whole command, until it has ended", f"{median(whole) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
