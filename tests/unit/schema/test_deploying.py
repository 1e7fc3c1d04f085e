"""Deployments as they are stored."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.errors import BadKey
from lbsync.model.deploying import (
    DeploymentRecord,
    Limits,
    Strategy,
    VersionRecord,
    VersionsRecord,
    WarmRecord,
)
from lbsync.model.records import RouteRecord
from lbsync.model.snapshot import Item
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from lbsync.values.basic import Pause
from lbsync.values.deploying import Require
from tests.contract_strategies import ANYTHING

CART = ServiceId("shop", "cart")
RECORD = DeploymentRecord(
    "20260131-120000-abc123",
    "groups",
    "switch",
    VersionRecord("green", 3, {"image": "cart:3", "pods": [{"name": "a"}]}),
    Strategy((5, 25), Pause(60_000), limits=Limits(errors=1), require=Require("67%")),
    previous=RouteRecord({"blue": 1}),
    revisions={"switching 1": 7},
)


def item(key: str, value: bytes) -> Item:
    return Item(key, value, 1, 1)


def refused(value: bytes) -> str:
    with pytest.raises(BadKey) as refusal:
        deploying.read(DeploymentRecord, item("deployments/shop/cart/x", value))
    return str(refusal.value)


def test_a_record_comes_back_as_it_was_written() -> None:
    key = f"deployments/shop/cart/{RECORD.id}"
    assert deploying.read(DeploymentRecord, item(key, encode(RECORD))) == RECORD
    warm = (WarmRecord(VersionRecord("green"), "2026"),)
    versions = VersionsRecord(4, live=VersionRecord("blue"), warm=warm)
    assert deploying.read(VersionsRecord, item("k", encode(versions))) == versions


def test_a_field_of_a_newer_lbsync_is_refused_and_named() -> None:
    assert "canary: no such field" in refused(encode(RECORD).replace(b"{", b'{"canary":1,', 1))


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        (b'{"steps":[25,5]}', "strategy.steps: each step takes more"),
        (b'{"steps":[5,5]}', "strategy.steps: each step takes more"),
        (b'{"steps":[0]}', "strategy.steps[0]: it is out of range"),
        (b'{"manual":true}', "strategy.manual: there is one step"),
        (b'{"require":"101%"}', "strategy.require: '101%' is no number of hosts"),
        (b'{"require":"most"}', "strategy.require: 'most' is no number of hosts"),
        (b'{"watch":30}', "strategy.watch: 30 is no duration"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused_with_the_cure(strategy: bytes, why: str) -> None:
    value = (
        b'{"id":"x","provider":"groups","action":"switch","version":{"group":"green"},'
        b'"strategy":%b}' % strategy
    )
    assert why in refused(value)


@given(ANYTHING)
def test_whatever_is_stored_is_read_or_refused(value: object) -> None:

    raw = json.dumps(value).encode()
    try:
        deploying.read(DeploymentRecord, item("k", raw))
    except BadKey:
        return


def test_the_keys_lie_beside_the_prefix_so_no_agent_hears_of_them() -> None:
    assert deploying.deploy_prefix("/lbsync/") == "/lbsync-deploy/"
    key = deploying.event_key(CART, "20260131-120000-abc123", 12)
    assert key == "events/shop/cart/20260131-120000-abc123/000012"
    assert deploying.owner(key) == CART
    assert deploying.owner("events/shop") is None


def test_what_a_newer_lbsync_wrote_is_left_out_and_the_rest_is_listed() -> None:
    ids = [f"20260131-12000{number}-abc123" for number in range(4)]
    records = [msgspec.structs.replace(RECORD, id=name) for name in (ids[1], ids[0], "a b")]
    values = {record.id: encode(record) for record in records} | {ids[2]: b"{}"}
    values[ids[3]] = encode(RECORD)  # somebody's copy of another one
    items = {
        (key := f"deployments/shop/cart/{name}"): item(key, value) for name, value in values.items()
    }
    found = deploying.readable(DeploymentRecord, items, deploying.deployments_folder(CART))
    assert list(found) == ids[:2]


def test_a_key_that_no_app_has_is_left_out_and_the_apps_are_listed() -> None:
    names = ["shop/cart", "x", "a/b/c", "A B/c", "", "/"]
    items = {(key := f"versions/{name}"): item(key, b"{}") for name in names}
    assert list(deploying.by_app(VersionsRecord, items, deploying.VERSIONS)) == [CART]


@pytest.mark.parametrize(
    ("text", "hosts", "wanted"),
    [("all", 3, 3), ("all", 0, 1), ("2", 3, 2), ("67%", 3, 3), ("66%", 3, 2), ("1%", 50, 1)],
)
def test_how_many_hosts_are_enough(text: str, hosts: int, wanted: int) -> None:
    assert Require.parse(text).of(hosts) == wanted


@given(st.integers(0, 2000), st.integers(1, 100))
def test_a_share_of_the_hosts_is_never_none_of_them(hosts: int, percent: int) -> None:
    assert Require.parse(f"{percent}%").of(hosts) >= 1
