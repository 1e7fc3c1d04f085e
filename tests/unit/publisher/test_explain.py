"""What `explain` says of one Service, and why."""

from typing import Any

from lbsync.model.permission import Permission
from lbsync.publisher.explain import explain
from lbsync.publisher.translate import Options
from lbsync.settings.claims import Claims
from tests.kube_objects import DRAINING, GONE, UNREADY, endpoint, node, service, slice_
from tests.publishing import ME, Bench

OPTIONS = Options(source=ME.source, address_mode="pod")
HOST = {"lbsync.io/hosts": "cart.example"}


def told(*found: Any, nodes: Any = (), options: Options = OPTIONS) -> dict[str, list[str]]:
    bench = Bench(*found)
    bench.look()
    inputs = bench.view.inputs(
        found[0], bench.view.leading_to(found[0]), ["nodes"] if nodes else []
    )
    said: dict[str, list[str]] = {}
    for line in explain(
        ME,
        inputs,
        list(nodes),
        bench.stored.of("shop/cart"),
        options,
        permission=Permission(Claims()),
    ):
        said.setdefault(line.about if line.good else f"!{line.about}", []).append(line.text)
    return said


def test_each_endpoint_has_its_reason() -> None:
    endpoints = [
        endpoint("10.0.0.1", "up"),
        endpoint("10.0.0.2", "unready", **UNREADY),
        endpoint("10.0.0.3", "drains", **DRAINING),
        endpoint("10.0.0.4", "gone", **GONE),
    ]
    said = told(service(annotations=HOST), slice_(*endpoints))
    assert [line.partition(": ")[2][:9] for line in said["endpoint"]] == ["ready", "terminati"]
    assert [line.rpartition(": ")[2] for line in said["!endpoint"]] == [
        "it is not ready",
        "it is terminating and serves no more",
    ]
    assert said["annotation"] == ["hosts comes from lbsync.io/hosts"]


def test_slices_of_an_earlier_self_are_named() -> None:
    said = told(service(annotations=HOST), slice_(owner_uid="other"))
    assert "belongs to an earlier Service" in said["!endpoint"][1]


def test_a_service_that_is_not_to_be_published_says_what_is_missing() -> None:
    assert 'give it lbsync.io/publish: "true"' in told(service(labels={}))["!Service"][0]
    assert "being deleted" in told(service(deleting=True))["!Service"][0]
    note = told(service(labels={}, annotations={"lbsync.io/publish": "true"}))["!Service"]
    assert any("is an annotation" in text for text in note)
    wrong = told(service(labels={"lbsync.io/publish": "yes"}))["!Service"][0]
    assert "label lbsync.io/publish is 'yes'" in wrong


def test_nodes_that_are_no_servers_have_their_reasons() -> None:
    nodes = [
        node("n1", ("InternalIP", "10.0.0.1")),
        node("n2", taint="ToBeDeletedByClusterAutoscaler"),
        node("n3", deleting=True),
        node("n4", labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""}),
    ]
    options = Options(source=ME.source, node_selector={})
    said = told(service(annotations=HOST), nodes=nodes, options=options)
    assert said["node"] == ["1 of 4 nodes may be servers"]
    assert [line.split()[0] for line in said["!node"]] == ["n2", "n3", "n4"]


def test_what_is_not_stored_yet_is_named() -> None:
    said = told(service(annotations=HOST), slice_(endpoint("10.0.0.1", "a")))
    assert said["!step"] == [
        "endpoints/shop/cart/default is not stored yet",
        "services/shop/cart is not stored yet",
    ]


def test_a_refusal_stands_for_everything_that_would_follow() -> None:
    said = told(service(annotations={**HOST, "lbsync.io/maxconn": "x"}))
    assert "lbsync.io/maxconn" in said["!refused"][0]
    assert "wanted" not in said
