"""What is measured on the way, told to whoever counts: nobody, until a service says `tell`.

Whoever does the work knows neither the metrics' library nor their names, and commands pay for neither.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Literal

What = Literal[
    "pass", "change_served", "render", "haproxy_check", "runtime_change", "reload", "read_back"
]
How = Literal["ok", "failed", "runtime", "reload"]
"""How it ended; of `change_served`: what brought it into force."""
Counter = Callable[[What, How, float], None]

_counters: list[Counter] = []


def tell(counter: Counter) -> None:
    """Have `counter` called from now on, instead of any other, with the seconds that something took.

    From the thread that did it; must neither block nor raise.
    """
    _counters[:] = [counter]


def observe(what: What, how: How, seconds: float) -> None:
    """Tell how long something took."""
    for counter in _counters:
        counter(what, how, seconds)


@contextlib.contextmanager
def timed(what: What) -> Iterator[None]:
    """Tell how long the block (or the function that this decorates) took; it failed if it raises."""
    began = time.monotonic()
    how: How = "failed"
    try:
        yield
        how = "ok"
    finally:
        observe(what, how, time.monotonic() - began)
