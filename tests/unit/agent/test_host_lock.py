"""One agent at a time has a state directory."""

import fcntl
import threading
from pathlib import Path

import pytest

from lbsync.agent.host_lock import HostLock
from lbsync.errors import Conflict


def test_a_lock_that_is_about_to_be_let_go_of_is_waited_for(tmp_path: Path) -> None:
    """As after the death of an agent that was just starting a program."""
    held = (tmp_path / "agent.lock").open("ab")
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another agent runs"), HostLock(tmp_path):
            pass
        release = threading.Timer(0.1, held.close)
        release.start()
        with HostLock(tmp_path, patience_s=60.0):
            release.join()
            with pytest.raises(Conflict), HostLock(tmp_path):
                pass
