"""The reason that stands first is the one that the host's state is called after."""

import pytest

from lbsync.agent.report.pass_report import stale
from lbsync.clients.source import Health
from lbsync.loop import Outcome

AWAY = Health(False, "etcd is away", 1.0)


@pytest.mark.parametrize(
    ("confirmed", "error", "told"),
    [
        (True, "", "what is served may be old: etcd is away"),
        (True, "a/b: bad", "what is served may be old: etcd is away; a/b: bad"),
        (False, "HAProxy is away", "HAProxy is away; what is served may be old: etcd is away"),
    ],
)
def test_a_source_that_is_away_is_told_beside_whatever_else_is_wrong(
    confirmed: bool, error: str, told: str
) -> None:
    outcome = Outcome("served", confirmed=confirmed, error=error)
    assert stale(outcome, AWAY).error == told
    assert stale(outcome, Health(True, "etcd answers", 2.0)) == outcome
