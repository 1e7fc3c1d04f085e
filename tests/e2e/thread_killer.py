"""Run an agent as `python -m lbsync …` does, and end threads of it when told to, from inside.

Used as a program: `thread_killer.py SOCKET python -m lbsync …`. Each connection to SOCKET sends one
line: the name of a thread that shall end, or nothing. The answer is the names of all threads, as they
are then, one a line.
"""

import ctypes
import socket
import sys
import threading
import time
from pathlib import Path

from lbsync.cli import main


def end(name: str) -> None:
    """Raise SystemExit in the threads of this name until none of those is left.

    Once, and again only after a while: a second one that comes while a thread ends by the first may hit it
    between taking a lock and noting that it has it, so that nobody ever gets that lock again.
    """
    left = [one for one in threading.enumerate() if one.name == name]
    for _ in range(40):
        for one in left:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(one.ident or 0), ctypes.py_object(SystemExit)
            )
        deadline = time.monotonic() + 0.5
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = [one for one in left if one.is_alive()]


def serve(path: str) -> None:
    """Answer connections until the process ends."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            peer, _ = door.accept()
            with peer, peer.makefile("rw") as lines:
                if name := lines.readline().strip():
                    end(name)
                lines.write("\n".join(sorted({one.name for one in threading.enumerate()})))


if __name__ == "__main__":
    Path(sys.argv[1]).unlink(missing_ok=True)
    threading.Thread(target=serve, args=sys.argv[1:2], name="killer", daemon=True).start()
    sys.exit(main(sys.argv[5:]))
