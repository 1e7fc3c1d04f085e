"""A process whose etcd connection has lost the thread of gRPC's that hands on what comes; run by a test.

Arguments: an endpoint, a prefix. Says how the watch ends, and ends itself: gRPC never gets over this, so it is not
done to the process of the tests.
"""

import ctypes
import sys
import threading
import time

from harness.etcd import open_etcd
from harness.wait import wait_until
from lbsync import log, threads
from lbsync.clients.etcd import connections, probe, watch
from lbsync.clients.source import Put
from lbsync.errors import Stuck


def main(url: str, prefix: str) -> None:
    """Lose it, write a key, and print what became of the watch."""
    log.setup("error")
    probe._DEADLINE, probe._SLACK, watch._GIVEN_UP_AFTER, connections._CLOSE_S = 0.3, 0.1, 0.2, 0.2
    (probe.Probe.__init__.__kwdefaults__ or {})["every"] = 0.1
    source = open_etcd((url,), prefix)
    source.start(lambda: None)
    wait_until("the watch", lambda: source.health().ok)
    ours = [thread for thread in threading.enumerate() if "_run" in thread.name]
    for thread in ours:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )
    wait_until("the thread to end", lambda: not all(thread.is_alive() for thread in ours))
    source.commit([], [Put("services/a/b", b"{}")])
    wait_until("it to be known", lambda: not source.health().ok, timeout=60)
    print("health:", source.health().detail)
    try:
        while True:
            threads.restart_ended()
            time.sleep(0.05)
    except Stuck as stuck:
        print("stuck:", stuck)
    source.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
