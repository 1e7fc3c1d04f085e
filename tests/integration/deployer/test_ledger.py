"""Deployments as etcd has them: whatever the clocks of those who began them said."""

from collections.abc import Mapping
from typing import Any

import pytest

from lbsync.clients.source import Put
from lbsync.deployer.ledger import Ledger
from lbsync.deployer.requests import Judge, begin
from lbsync.errors import Conflict, Rejected
from lbsync.model.deploying import AppRecord, DeploymentRecord, VersionRecord
from lbsync.schema import deploying
from lbsync.schema.decode import encode
from lbsync.schema.keys import ServiceId
from tests.integration.deployer.conftest import CART


def test_the_newest_deployment_is_the_one_that_was_begun_last(ledger: Ledger) -> None:
    """The first one by a host whose clock is an hour ahead, then two within one second."""
    ids = ["20260131-130000-abc123", "20260131-120000-ffffff", "20260131-120000-000000"]
    for name in ids:
        record = DeploymentRecord(name, "groups", "switch", VersionRecord("green"))
        ledger.commit([], [Put(deploying.deployment_key(CART, name), encode(record))])
    assert [record.id for record in ledger.deployments(CART)] == ids[::-1]


def test_of_two_apps_that_are_begun_at_the_same_moment_only_one_gets_a_host(ledger: Ledger) -> None:
    """Both were judged before either was begun; a third one, of another host, is in nobody's way."""
    names = ("one", "two", "three")
    pages = {name: ledger.page(ServiceId("shop", name)) for name in names}

    def judge(name: str, host: str) -> Judge:
        def refuse(coming: Mapping[ServiceId, Mapping[str, Any]]) -> None:
            for other, document in coming.items():
                if other.name != name and document["host"] == host:
                    raise Rejected(f"{host} belongs to {other}")

        return refuse

    def start(name: str, host: str, *, late: bool = False) -> None:
        page, document = pages[name], {"host": host}
        version = VersionRecord("v1", 1, document)
        record = DeploymentRecord(
            f"20260131-120000-{host[:1]}{name}", "kubernetes", "deploy", version
        )
        app = Put(deploying.app_key(page.keys.app), encode(AppRecord("kubernetes", document)))
        judging = judge(name, host)
        raced: list[str] = []

        def raced_judge(coming: Mapping[ServiceId, Mapping[str, Any]]) -> None:
            judging(coming)
            if late and not raced:
                raced.append("one")
                start("one", "cart.example")

        begin(ledger, page, record, "it begins", extra=[app], judge=raced_judge)

    with pytest.raises(Rejected, match=r"cart.example belongs to shop/one"):
        start("two", "cart.example", late=True)
    assert not ledger.page(ServiceId("shop", "two")).versions().active
    assert ledger.page(ServiceId("shop", "one")).versions().active
    pages["one"] = ledger.page(ServiceId("shop", "four"))
    start("three", "web.example", late=True)
    assert ledger.page(ServiceId("shop", "three")).versions().active


def test_a_second_deployment_of_one_app_is_told_at_once(ledger: Ledger) -> None:
    page = ledger.page(CART)
    record = DeploymentRecord(
        "20260131-120000-abc123", "kubernetes", "deploy", VersionRecord("v1", 1)
    )
    begin(ledger, page, record, "it begins", judge=lambda _: None)
    again = DeploymentRecord(
        "20260131-120000-abc124", "kubernetes", "deploy", VersionRecord("v1", 1)
    )
    with pytest.raises(Conflict, match=r"somebody else changed it meanwhile"):
        begin(ledger, page, again, "it begins", judge=lambda _: None)
