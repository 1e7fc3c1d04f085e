"""Stores of many services, and what a host with them costs."""

import json
import time
from pathlib import Path

import psutil

from harness.stack import Stack
from harness.web import WebServer
from lbsync.clients.source import Put

#: Server lines without checks: thousands of checks a second would measure the toy servers.
_CHECK = {"type": "none"}
_OPS_PER_TXN = 100


def service(number: int) -> dict[str, object]:
    """The record of one service; its host is `h<number>.example`."""
    return {
        "mode": "http",
        "hosts": [f"h{number}.example"],
        "check": _CHECK,
        "timeouts": {"server": "10s"},
    }


def endpoints(*webs: WebServer) -> dict[str, object]:
    """Servers of one service."""
    return {
        "servers": [
            {"name": f"pod-{number}", "address": "127.0.0.1", "port": web.port}
            for number, web in enumerate(webs)
        ]
    }


def fill(stack: Stack, count: int, *webs: WebServer) -> int:
    """Write `count` services of `len(webs)` servers each; return the last revision."""
    puts = []
    for number in range(count):
        name = f"ns{number % 50}/svc{number}"
        puts.append(Put(f"services/{name}", json.dumps(service(number)).encode()))
        puts.append(Put(f"endpoints/{name}/default", json.dumps(endpoints(*webs)).encode()))
    revision = 0
    for start in range(0, len(puts), _OPS_PER_TXN):
        revision = stack.client.commit([], puts[start : start + _OPS_PER_TXN])
    return revision


def name_of(number: int) -> str:
    """Return `ns/name` of a service that `fill` wrote."""
    return f"ns{number % 50}/svc{number}"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time a process itself has used; its children are not counted."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def live_config(stack: Stack) -> Path:
    """Return the path of the live configuration."""
    return stack.state / "live" / "haproxy.cfg"


def idle_share(pid: int, seconds: float) -> float:
    """Return which share of one core a process uses while nothing happens."""
    before, began = cpu_seconds(pid), time.monotonic()
    while (left := began + seconds - time.monotonic()) > 0:
        time.sleep(min(left, 1.0))
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)
