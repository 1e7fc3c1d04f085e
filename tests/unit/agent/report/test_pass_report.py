"""The reason that stands first is the one that the host's state is called after."""

import pytest

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.report.pass_report import stale, what_changed
from lbsync.clients.source import Health
from lbsync.loop import Outcome
from tests.builders import entries_of

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


def test_several_services_are_told_apart_by_what_became_of_them() -> None:
    plain = {"mode": "http"}
    before = entries_of({f"services/shop/{name}": plain for name in "abc"})
    wanted = {f"services/shop/{name}": plain for name in "cde"}
    after = entries_of({**wanted, "services/shop/shut-out": plain})
    served = Assembler().assemble(entries_of(wanted), 1, ()).services
    assert what_changed(after, before, served) == (
        "shop/d, shop/e are new; shop/c, shop/shut-out changed; shop/a, shop/b are gone"
    )
    assert what_changed(after, after, served) == "no service changed"
