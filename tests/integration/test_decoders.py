"""Values of a type, read by many threads."""

import subprocess
import sys

MANY = """
import sys, threading
import msgspec
from lbsync.decoders import convert, decode

sys.setswitchinterval(1e-6)
for number in range(40):
    inner = msgspec.defstruct("Inner", [(f"a{n}", int, 0) for n in range(30)])
    outer = msgspec.defstruct("Outer", [(f"b{n}", inner | None, None) for n in range(30)])
    ready = threading.Barrier(4)

    def read():
        ready.wait()
        for _ in range(3):
            decode(b'{"b3": {"a29": 1}, "b29": {"a0": 1}}', outer)
            convert({"b3": {"a29": 1}}, outer)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_many_threads_may_read_a_type_for_the_first_time() -> None:
    """In a process of its own: where msgspec finds out about a class in two threads at once, it dies by a signal."""
    argv = [sys.executable, "-c", MANY]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
