"""What `explain` says of one Service, and why."""

from typing import Any

from lbsync.kube_objects import ServicePort, SlicePort
from lbsync.model.permission import Permission
from lbsync.publisher.explain import explain
from lbsync.publisher.translate import Options
from lbsync.values.claims import Claims
from tests.kube_objects import (
    DRAINING,
    GONE,
    HTTP,
    UNREADY,
    endpoint,
    ingress,
    node,
    rule,
    service,
    slice_,
)
from tests.publishing import ME, Bench, usual_options

OPTIONS = usual_options(source=ME.source, address_mode="pod")
HOST = {"lbsync.io/hosts": "cart.example"}


def told(*found: Any, nodes: Any = (), options: Options = OPTIONS) -> dict[str, list[str]]:
    bench = Bench(*found, ingress=True)
    bench.look()
    inputs = bench.lister.inputs(
        found[0], bench.lister.leading_to(found[0]), ["nodes"] if nodes else []
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


def test_an_endpoint_that_is_no_server_is_never_called_ready() -> None:
    """Each kind of being left out, told by what decides it."""
    v6 = slice_(endpoint("fd00::1", "six"), name="cart-v6", address_type="IPv6")
    named = slice_(endpoint("db.example", "name"), name="cart-fqdn", address_type="FQDN")
    grpc = slice_(
        endpoint("10.0.0.5", "grpc"), name="cart-g", ports=(SlicePort("grpc", 1, "TCP", ""),)
    )
    twin = slice_(endpoint("10.0.0.1", "up"), name="cart-z")
    broken = slice_(endpoint("nonsense..", "bad"), name="cart-bad")
    own = service(annotations=HOST)
    said = told(own, slice_(endpoint("10.0.0.1", "up")), v6, named, grpc, twin, broken)
    assert said["endpoint"] == ["10.0.0.1 (up, EndpointSlice cart-a): ready"]
    why = {
        line.partition(" (")[2].partition(",")[0]: line.partition("left out: ")[2]
        for line in said["!endpoint"]
    }
    assert why["six"] == "it has an IPv6 address, and IPv4 is published"
    assert why["name"] == "addresses of type 'FQDN' are not published"
    assert why["grpc"] == "its slice has no TCP port 'http'"
    assert why["up"] == "it stands in EndpointSlice cart-a too, which counts"
    assert "nonsense" in why["bad"]


def test_a_terminating_pod_that_serves_alone_is_told_as_what_it_is() -> None:
    said = told(service(annotations=HOST), slice_(endpoint("10.0.0.3", "last", **DRAINING)))
    assert said["endpoint"][0].endswith("serves, as nobody else is ready")


def test_a_group_that_cannot_be_told_leaves_its_pod_out() -> None:
    found = service(annotations={**HOST, "lbsync.io/group-label": "color"})
    assert "is not known yet" in told(found, slice_(endpoint("10.0.0.1", "a")))["!endpoint"][0]


def test_endpoints_of_a_mode_with_other_servers_are_told_as_such() -> None:
    notes = {**HOST, "lbsync.io/address-mode": "lb-status"}
    found = service(annotations=notes, type="LoadBalancer", load_balancer=("192.0.2.1",))
    said = told(found, slice_(endpoint("10.0.0.1", "a")))
    assert said["!endpoint"][0].endswith("address mode lb-status has other servers")


def test_with_policy_local_an_endpoint_counts_where_its_node_is_a_server() -> None:
    notes = {**HOST, "lbsync.io/address-mode": "nodeport"}
    found = service(annotations=notes, external_traffic_policy="Local")
    pods = [endpoint("10.1.0.1", "a", node="n1"), endpoint("10.1.0.2", "b", node="n2")]
    nodes = [node("n1", ("InternalIP", "10.0.0.1")), node("n2", deleting=True)]
    said = told(found, slice_(*pods), *nodes, nodes=nodes)
    assert said["endpoint"][0].endswith("ready, reached through nodes")
    assert "its node n2 is no server" in said["!endpoint"][0]


def test_the_endpoints_of_a_refused_service_are_not_called_servers() -> None:
    wrong = service(annotations={**HOST, "lbsync.io/port": "nosuch"})
    said = told(wrong, slice_(endpoint("10.0.0.1", "a")))
    assert "the Service is refused as it stands" in said["!endpoint"][0]
    assert "endpoint" not in said


def test_each_port_of_a_service_has_its_own_endpoints() -> None:
    ports = (HTTP, ServicePort("admin", 8081, 30081, "TCP", ""))
    rules = [rule("a.example", "/"), rule("b.example", "/", port="admin")]
    said = told(service(ports=ports), slice_(endpoint("10.0.0.1", "a")), ingress(*rules))
    assert said["endpoint"][0].endswith("port http: ready")
    assert said["!endpoint"][0].endswith("port admin: left out: its slice has no TCP port 'admin'")


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
    options = usual_options(source=ME.source, node_selector={})
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
