"""What is said where no agent answers a request."""

import time
from pathlib import Path

import pytest

from lbsync.cli.requests import request
from lbsync.errors import Unavailable
from lbsync.settings import Duration
from lbsync.status import Status, Writer


def test_an_agent_that_runs_and_cannot_answer_is_not_called_absent(tmp_path: Path) -> None:
    silent = Status(
        "confirmed", "lb-1", pid=77, pid_namespace="another", written_at=time.time() - 99, every=9.0
    )
    Writer(tmp_path).write(silent)
    with pytest.raises(Unavailable) as caught:
        request.fresh(tmp_path, Duration(100))
    assert str(caught.value).startswith(
        "the agent (process 77) is silent; the status was written 9"
    )
    assert str(caught.value).endswith(" s ago, so nobody knows")


def test_where_no_agent_runs_the_cure_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        request.ask(tmp_path, "release", "", lambda _: True, Duration(100))
    assert str(caught.value) == (
        "no agent runs on this host, so nothing was asked; 'systemctl start lbsync-agent'"
    )
