"""What a command leaves in the process that ran it ends with its test."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def mask() -> Iterator[None]:
    """A service keeps SIGHUP for later from its first line on, also where only its help is asked for."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
