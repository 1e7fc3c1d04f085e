"""Whose words in HAProxy's log count as the reason of a failed reload."""

from lbsync.clients.haproxy.binary import parse_alerts
from lbsync.clients.haproxy.startup_log import said_by

LOG = """\
[NOTICE]   (6869) : Reloading HAProxy
[ALERT]    (6964) : backend 'be_a' has no server available!
[ALERT]    (6869) : config : [/live/haproxy.cfg:19] : 'server b/s' : unknown keyword 'x'
  and a second line of it
[WARNING]  (6872) : Proxy fe stopped (cumulated conns: FE: 0, BE: 0).
[WARNING]  (6869) : Loading failure!
"""


def test_a_worker_that_lost_its_servers_did_not_fail_the_reload() -> None:
    (alert,) = parse_alerts(said_by(6869, LOG))
    assert (alert.line, alert.text) == (
        19,
        "'server b/s' : unknown keyword 'x' and a second line of it",
    )
    assert "Loading failure" in said_by(6869, LOG)
    assert said_by(1, LOG) == ""
