"""Who asks how services do, and what hosts answer: bounded, whoever may write there."""

import json
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lbsync.model.health import GroupHealth, HealthRecord, ServerHealth
from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema import health
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from tests.hostile import document


def snapshot(*, leased: bool = True, **values: Any) -> Snapshot:
    """Keys with `__` for `/`; values are encoded unless they are bytes."""
    items = {}
    for name, value in values.items():
        key = name.replace("__", "/").replace("_", "-")
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        items[key] = Item(key, data, 1, 9)
    return Snapshot(9, 1, items, (), frozenset(items) if leased else frozenset())


def test_all_questions_together_name_each_service_once() -> None:
    found = health.asked(
        snapshot(
            watchers__a={"services": ["shop/cart", "shop/web"]},
            watchers__b={"services": ["shop/cart", "NO", "x"], "revision": 7, "later": 1},
            watchers__c={"all": True, "revision": 10},
            watchers__d=b"{",
            watchers__e={"services": "shop/cart"},
            agents__x={"services": ["shop/other"]},
        )
    )
    assert found.services == (ServiceId("shop", "cart"), ServiceId("shop", "web"))
    assert (found.all, found.revisions, found.left_out) == (True, (7,), 0)


def test_a_question_without_a_lease_and_no_question_ask_nothing() -> None:
    asked = {"services": ["shop/cart"], "all": True, "revision": 1}
    assert health.asked(snapshot(leased=False, watchers__a=asked)) == health.NOTHING
    assert not health.asked(snapshot(watchers__a={"revision": 3})).health


def test_many_and_huge_questions_are_bounded() -> None:
    many: dict[str, Any] = {
        f"watchers__{number:04}": {"services": [f"shop/s{number}-{n}" for n in range(50)]}
        for number in range(300)
    }
    found = health.asked(snapshot(**many))
    assert len(found.services) == health.MOST_SERVICES
    assert found.left_out == health.MOST_WATCHERS * 50 - health.MOST_SERVICES
    huge = {"services": ["shop/cart"] * 50_000}
    assert health.asked(snapshot(watchers__huge=huge)) == health.NOTHING


def test_an_answer_is_read_of_a_host_that_lives() -> None:
    server = ServerHealth("a\x1b[2J", "UP", said="x" * 5000)
    no_host: Any = {"NO HOST": b"{}"}
    record = HealthRecord("", services={"shop/cart": {"main": GroupHealth(1, 1, (server,))}})
    found = health.answers(snapshot(lb_1=encode(record), lb_2=b"{", **no_host))
    assert found.keys() == {"lb-1", "lb-2"}
    assert found["lb-2"] is None
    told = found["lb-1"]
    assert told is not None
    (read,) = told.services["shop/cart"]["main"].servers
    assert read.name == "a\\x1b[2J"
    assert len(read.said) < 2100
    assert health.answers(snapshot(leased=False, lb_1=encode(record))) == {}


@given(st.integers(0, 2**32))
def test_nothing_is_raised_by_what_others_wrote(seed: int) -> None:
    value = document(random.Random(seed))
    found = snapshot(watchers__a=value, lb_1=value)
    health.asked(found)
    health.answers(found)


def test_answers_lie_beside_the_prefix_whatever_it_is() -> None:
    for prefix in ("/lbsync/", "/", "a/b/"):
        assert not health.health_prefix(prefix).startswith(prefix)


def test_a_question_can_wait_for_the_revision_that_wrote_it() -> None:
    """It stands in the transaction that it is about, whose revision nobody knows before."""
    asked = {"services": ["shop/cart"], "here": True}
    found = health.asked(snapshot(watchers__a=asked))
    assert found.revisions == (found.newest,) != (0,)
    assert health.asked(snapshot(watchers__a={"revision": 3})).newest == 0
