"""What people's changes do to others is judged before anything is written."""

import msgspec
import pytest

from lbsync.agent.review import refusals, review
from lbsync.errors import Rejected
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.keys import ServiceId
from lbsync.schema.service_document import Change
from lbsync.settings import Settings

OLD = ServiceId("evil", "old")


def record(*hosts: str, **more: object) -> bytes:
    return msgspec.json.encode({"mode": "http", "hosts": hosts, **more})


def stored(**services: bytes) -> Snapshot:
    """Services by `namespace__name`, the oldest first."""
    items = {}
    for age, (name, value) in enumerate(services.items(), 1):
        key = f"services/{name.replace('__', '/')}"
        items[key] = Item(key, value, age, age)
    return Snapshot(len(items), 0, items)


def change(snapshot: Snapshot, name: str, value: bytes | None) -> Change:
    key = f"services/{name}"
    return Change(key, snapshot.items.get(key), value)


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (record("bank.example"), record("evil.example", "bank.example")),
        (record("bank.example", paths=["/login"]), record("bank.example", paths=["/login", "/x"])),
        (b'{"mode":"tcp","listen":5432}', b'{"mode":"tcp","listen":5432}'),
    ],
)
def test_an_older_service_takes_nothing_from_one_of_another_namespace(
    theirs: bytes, mine: bytes
) -> None:
    before = stored(evil__old=record("evil.example"), bank__web=theirs)
    found = refusals(before, [change(before, "evil/old", mine)], {"evil/old"}, Settings())
    (told,) = found
    assert (told.key, told.service) == ("services/evil/old", "evil/old")
    assert "is bank/web's, which would lose it to this older service" in told.reason
    with pytest.raises(Rejected, match="nothing was written: services/evil/old: "):
        review(before, [change(before, "evil/old", mine)], OLD, Settings())


def test_what_is_taken_out_there_in_the_same_step_is_free() -> None:
    before = stored(evil__old=record("evil.example"), bank__web=record("bank.example"))
    both = [
        change(before, "evil/old", record("evil.example", "bank.example")),
        change(before, "bank/web", record("new.example")),
    ]
    assert refusals(before, both, {"evil/old", "bank/web"}, Settings()) == []


def test_within_a_namespace_and_of_what_was_so_before_nothing_is_said() -> None:
    before = stored(bank__old=record("a.example"), bank__web=record("bank.example"))
    moved = change(before, "bank/old", record("a.example", "bank.example"))
    assert refusals(before, [moved], {"bank/old"}, Settings()) == []
    taken = stored(evil__old=record("bank.example"), bank__web=record("bank.example"))
    other = change(taken, "evil/old", record("bank.example", owner="evil"))
    assert refusals(taken, [other], {"evil/old"}, Settings()) == []
