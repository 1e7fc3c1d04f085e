"""Run the demo: exit code 0 when every step was proved, 1 when one was not. KEEP=1 leaves it running."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import psutil

from demo import acts
from demo.stage import Stage, set_up
from demo.switch import switch
from demo.terminal import Terminal
from demo.traffic import Crowd


def main() -> int:
    """Play all acts; return the exit code."""
    tell = Terminal()
    tell.title("lbsync: etcd to HAProxy, on this machine's loopback")
    # So that an end from outside takes the daemons along, too. And a shell starts what it puts into the
    # background with SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        with set_up() as stage:
            play(stage, tell)
            if os.environ.get("KEEP", "") not in ("", "0"):
                keep(stage, tell)
        tell.end("All of it was proved by requests; everything is stopped and removed again")
    except (acts.Broken, TimeoutError, RuntimeError, OSError) as problem:
        tell.failed(str(problem))
    except subprocess.SubprocessError as problem:
        tell.failed(f"{problem}\n{getattr(problem, 'stderr', '') or ''}")
    except KeyboardInterrupt:
        tell.failed("interrupted")
    else:
        return 0
    finally:
        end_children()
    return 1


def end_children() -> None:
    """End what still runs: a signal that comes while a process is being started leaves one that nobody knows."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=10)


def play(stage: Stage, tell: Terminal) -> None:
    """One act after the other. Raises when one of them is not as promised."""
    acts.start(stage, tell)
    acts.load_shop(stage, tell)
    crowd = Crowd(stage.first.http_port, acts.SHOP_HOST)
    with crowd.asking():
        acts.add_server(stage, tell)
        acts.add_service(stage, tell)
        switch(stage, tell)
        acts.break_service(stage, tell)
        acts.wipe(stage, tell)
    acts.count_lost(crowd, tell)


def keep(stage: Stage, tell: Terminal) -> None:
    """Load the example again and leave everything running until Ctrl-C."""
    acts.load_again(stage)
    first = stage.first
    page = first.start_console()
    lbsync = f"{sys.executable} -m lbsync --config {first.config}"
    etcdctl = f"ETCDCTL_API=3 etcdctl --endpoints={stage.etcd.node.url}"
    tell.step("It is yours: the example is loaded again, Ctrl-C ends it")
    tell.did(f"the page of the fleet: {page}")
    tell.did(f"statistics: http://127.0.0.1:{first.stats_port}/   agent's log: {first.agent_log}")
    if shutil.which("curl"):
        tell.typed(f"curl -i -H 'Host: {acts.SHOP_HOST}' http://127.0.0.1:{first.http_port}/")
    else:
        tell.typed(f"{sys.executable} -m demo.traffic {first.http_port} {acts.SHOP_HOST} /")
    tell.typed(f"{lbsync} status")
    tell.typed(f"{lbsync} service ls")
    tell.typed(f"{lbsync} service get shop/cart")
    tell.typed(f"{lbsync} switch shop/storefront green --wait --watch 5s")
    tell.typed(f"{etcdctl} get --prefix /lbsync/")
    try:
        signal.pause()
    except KeyboardInterrupt:
        tell.did("stopping")


if __name__ == "__main__":
    sys.exit(main())
