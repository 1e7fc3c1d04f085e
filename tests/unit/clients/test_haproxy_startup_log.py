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


#: 3.2 and later: the new worker reads the configuration.
LATER = """\
[NOTICE]   (7001) : Reloading HAProxy
[NOTICE]   (7001) : Initializing new worker (7044)
[ALERT]    (7010) : backend 'be_a' has no server available!
[ALERT]    (7044) : config : parsing [/live/haproxy.cfg:19] : unknown keyword 'chekc' in 'backend' section
[ALERT]    (7044) : config : Fatal errors found in configuration.
[WARNING]  (7001) : Failed to load worker (7044) exited with code 1 (Exit)
"""


def test_since_3_1_it_is_the_new_worker_that_says_why() -> None:
    (alert,) = parse_alerts(said_by(7001, LATER))
    assert (alert.line, alert.text) == (19, "unknown keyword 'chekc' in 'backend' section")
    assert said_by(7010, LATER).count("[ALERT]") == 1, "nobody else's"


def test_a_worker_that_did_not_fail_says_nothing_of_the_reload() -> None:
    fine = LATER.replace(
        "Failed to load worker (7044) exited with code 1 (Exit)", "Loading success."
    )
    assert parse_alerts(said_by(7001, fine)) == ()
