"""What takes access away, and so waits for nothing."""

import copy
from typing import Any

import pytest

from lbsync.agent.apply.access_loss import less_access
from lbsync.agent.desired.decode import Decoder, Entries
from tests.builders import a_snapshot, servers

SHOP: dict[str, Any] = {
    "services/a/web": {"mode": "http", "hosts": ["a.example", "b.example"], "deny": ["10.0.0.0/8"]},
    "endpoints/a/web/main": servers(1, 2),
    "services/a/any": {"mode": "http", "hosts": ["*.wide.example"]},
    "endpoints/a/any/main": servers(1),
    "services/a/db": {"mode": "tcp", "listen": 5432},
    "endpoints/a/db/main": servers(3),
}


def before_and_after(change: dict[str, Any]) -> tuple[Entries, Entries]:
    """`change`: fields of `services/a/web` that differ, or whole keys; None takes one away."""
    wanted = copy.deepcopy(SHOP)
    for name, value in change.items():
        place = wanted if "/" in name else wanted["services/a/web"]
        if value is None:
            del place[name]
        else:
            place[name] = value
    accepted = Decoder().resolve(a_snapshot(SHOP), {}).entries
    return accepted, Decoder().resolve(a_snapshot(wanted), accepted).entries


@pytest.mark.parametrize(
    "change",
    [
        {"deny": ["10.0.0.0/8", "192.0.2.0/24"]},
        {"deny": None},
        {"allow": ["10.0.0.0/8"]},
        {"auth": {"users": {"x": "$6$abcdefgh$" + "a" * 86}}},
        {"rate_limit": {"requests": 1, "period": "1s"}},
        {"hosts": ["a.example"]},
        {"paths": ["/shop"]},
        {"services/a/web": None},
        {"services/a/db": None},
        {"services/a/db": {"mode": "tcp", "listen": 5433}},
        {"services/a/inner": {"mode": "http", "hosts": ["a.example"], "paths": ["/admin"]}},
        {"services/a/one": {"mode": "http", "hosts": ["x.wide.example"]}},
        {"preview": {"networks": ["10.0.0.0/8"]}},
        {"redirect": {"https": True}},
        {"settings/global": {"https": "only"}},
        {
            "services/a/one": {
                "mode": "http",
                "hosts": ["new.example"],
                "preview": {"networks": ["10.0.0.0/8"], "hosts": {"main": "x.wide.example"}},
            }
        },
    ],
    ids=str,
)
def test_what_takes_something_away_is_urgent(change: dict[str, Any]) -> None:
    assert less_access(*before_and_after(change))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"hosts": ["a.example", "b.example", "c.example"]},
        {"maxconn": 5},
        {"endpoints/a/web/main": servers(1)},
        {"services/a/new": {"mode": "http", "hosts": ["new.example"]}},
        {"services/a/other": {"mode": "tcp", "listen": 6000}},
    ],
    ids=str,
)
def test_what_only_gives_may_wait(change: dict[str, Any]) -> None:
    assert less_access(*before_and_after(change)) == ""


@pytest.mark.parametrize(
    ("reason", "taken"),
    [
        ("userlist lbsync_stats, line 40: 'user ann password …' is gone", True),
        ("frontend fe_stats, line 44: 'acl allowed src 10.0.0.0/8' is new", True),
        ("frontend fe_http, line 12: 'bind 10.0.0.1:80' is new", False),
        ("frontend fe_http, line 56: 'acl sends_proxy src 127.0.0.9/32' is new", True),
        ("frontend fe_http, line 71: 'http-request set-var(txn.told) src' is new", True),
    ],
)
def test_who_may_not_see_the_statistics_or_is_not_trusted_any_more_is_kept_out_at_once(
    reason: str, taken: bool
) -> None:
    same = before_and_after({})
    assert bool(less_access(*same, [reason])) == taken
