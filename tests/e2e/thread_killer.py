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
    """Raise SystemExit in the threads of this name until none of those is left."""
    wanted = [one for one in threading.enumerate() if one.name == name]
    deadline = time.monotonic() + 20
    while any(one.is_alive() for one in wanted) and time.monotonic() < deadline:
        for one in wanted:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(one.ident or 0), ctypes.py_object(SystemExit)
            )
        time.sleep(0.05)


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
