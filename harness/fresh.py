"""What a HAProxy runs, and what one runs that was started anew from the same files."""

import subprocess
from pathlib import Path

from harness.haproxy import Haproxy
from harness.ports import free_port
from harness.stack import Stack
from lbsync.clients.haproxy import answers

Servers = dict[tuple[str, str], tuple[str, int, int, bool]]
Maps = dict[str, list[list[str]]]


def states(haproxy: Haproxy) -> Servers:
    """Return address, port, weight and whether it is out, by backend and server."""
    found = answers.parse_servers(haproxy.ask("@1 show servers state"))
    # 4 tells that the configuration once had it in maintenance, and stays when a command has ended that.
    return {
        (s.backend, s.name): (s.address, s.port, s.weight, bool(s.admin_state & 1)) for s in found
    }


def maps(haproxy: Haproxy) -> Maps:
    """Return the entries of every map, key and value each, by its file."""
    found = answers.parse_maps(haproxy.ask("@1 show map"))
    contents = {one.file: haproxy.ask(f"@1 show map #{one.id}") for one in found}
    return {
        file: sorted(line.split()[1:] for line in text.splitlines() if line)
        for file, text in contents.items()
    }


def runs(haproxy: Haproxy) -> tuple[Servers, Maps]:
    """Return what a HAProxy runs."""
    return states(haproxy), maps(haproxy)


def fresh(stack: Stack, directory: Path) -> tuple[Servers, Maps]:
    """Start a new HAProxy from the live file, on other ports and sockets, and ask it."""
    directory.mkdir(exist_ok=True)
    live = (stack.state / "live").resolve()
    copy = directory / "live"
    subprocess.run(["cp", "-r", "--", str(live), str(copy)], check=True)
    text = (copy / "haproxy.cfg").read_text()
    text = text.replace(str(stack.run), str(directory))
    for port in (stack.http_port, stack.stats_port):
        text = text.replace(f":{port}\n", f":{free_port()}\n")
    text = text.replace("    load-server-state-from-file global\n", "")
    (copy / "haproxy.cfg").write_text(text)
    second = Haproxy(directory / "run", copy / "haproxy.cfg", stack.haproxy.binary)
    try:
        second.start()
        return runs(second)
    finally:
        second.stop()
        subprocess.run(["rm", "-r", "--", str(copy)], check=True)
