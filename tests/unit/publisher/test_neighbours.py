"""The older owner of a host learns who else claims what falls under it."""

import pytest

from lbsync.model.snapshot import Item
from lbsync.publisher.store.neighbours import MOST_NAMED, Neighbours
from lbsync.schema.keys import ServiceId

BANK = ServiceId("bank", "web")


def item(name: str, created: int, fields: str) -> Item:
    value = f'{{"mode": "http", {fields}}}'.encode()
    return Item(f"services/{name}", value, created, created)


def told(*others: Item, own: str = '"hosts": ["bank.example.com"]') -> tuple[str, ...]:
    return Neighbours([*others, item("bank/web", 10, own)]).told(BANK)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('"hosts": ["bank.example.com"], "paths": ["/login"]', "took bank.example.com with path /login"),
        ('"hosts": ["bank.example.com"], "paths": ["//%6cogin/"]', "with path /login"),
        ('"hosts": ["bank.example.com"]', "as soon as this service goes"),
        ('"hosts": ["www.bank.example.com"], "redirect": {"www": "strip"}', "as soon as"),
    ],
)  # fmt: skip
def test_a_claim_of_another_namespace_is_told(fields: str, said: str) -> None:
    (sentence,) = told(item("evil/phish", 11, fields))
    assert said in sentence
    assert '"bank=bank.example.com" to [claims] hosts' in sentence


def test_a_host_below_a_wildcard_is_told() -> None:
    own = '"hosts": ["*.example.com"], "paths": ["/pay"]'
    assert told(
        item("evil/phish", 11, '"hosts": ["a.b.example.com"], "paths": ["/pay/x"]'), own=own
    )
    assert not told(item("evil/phish", 11, '"hosts": ["a.example.com"], "paths": ["/x"]'), own=own)


@pytest.mark.parametrize(
    ("name", "created", "fields"),
    [
        ("bank/login", 11, '"hosts": ["bank.example.com"], "paths": ["/login"]'),
        ("evil/older", 9, '"hosts": ["bank.example.com"], "paths": ["/login"]'),
        ("evil/other", 11, '"hosts": ["other.example.com"]'),
        ("evil/wrong", 11, '"hosts": ["bank.example.com"], "paths": ["login"]'),
        ("evil/all", 11, '"hosts": ["*.example.com"]'),
    ],
)
def test_what_takes_nothing_from_it_or_is_its_own_is_not_told(
    name: str, created: int, fields: str
) -> None:
    assert told(item(name, created, fields)) == ()


def test_a_catch_all_is_not_told_of_every_host() -> None:
    assert told(item("evil/a", 11, '"hosts": ["a.example.com"]'), own='"hosts": ["*"]') == ()


def test_many_claims_are_told_in_one_sentence() -> None:
    many = [
        item(f"evil/e{n}", 11 + n, f'"hosts": ["bank.example.com"], "paths": ["/{n}"]')
        for n in range(20)
    ]
    sentences = told(*many)
    assert len(sentences) == MOST_NAMED + 1
    assert "more claims" in sentences[-1]


def test_only_services_whose_answer_may_differ_are_looked_at_again() -> None:
    found = Neighbours([item("bank/web", 10, '"hosts": ["bank.example.com"]')])
    found.affected()
    found.note("services/team/x", item("team/x", 11, '"hosts": ["x.example.com"]'))
    assert BANK not in found.affected()
    phish = item("evil/phish", 12, '"hosts": ["bank.example.com"], "paths": ["/login"]')
    found.note(phish.key, phish)
    assert BANK in found.affected()
    found.note(phish.key, None)
    assert BANK in found.affected()
    assert found.told(BANK) == ()


def test_a_service_created_anew_is_younger() -> None:
    found = Neighbours([item("bank/web", 10, '"hosts": ["b.example"]')])
    found.note("services/evil/squat", item("evil/squat", 11, '"hosts": ["b.example"]'))
    assert found.told(BANK)
    found.note("services/bank/web", None)
    assert found.told(BANK) == ()
    found.note("services/bank/web", item("bank/web", 12, '"hosts": ["b.example"]'))
    assert found.told(BANK) == ()
    assert "bank/web" in found.told(ServiceId("evil", "squat"))[0]
