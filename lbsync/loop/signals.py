"""The signals of a long-running command."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def heard(stop: Callable[[], None], reread: Callable[[], None]) -> Iterator[None]:
    """Within, SIGTERM and SIGINT call `stop`, and SIGHUP calls `reread`. In the main thread only."""

    def on_stop(_number: int, _frame: FrameType | None) -> None:
        stop()
        # Somebody at a terminal who insists gets their way.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def on_hangup(_number: int, _frame: FrameType | None) -> None:
        reread()

    handlers = {signal.SIGTERM: on_stop, signal.SIGINT: on_stop, signal.SIGHUP: on_hangup}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    # One that came while the process began was kept waiting: now it is heard.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers.keys())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
