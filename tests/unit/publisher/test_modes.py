"""Address modes: which servers a Service gets, and when it gets none."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from lbsync.kube_objects import EndpointSlice, Node, ServicePort, SlicePort
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.translate import Options, Translation, node_pool
from tests.kube_objects import (
    DRAINING,
    GONE,
    READY,
    UNREADY,
    endpoint,
    node,
    recorded_services,
    recorded_slices,
    service,
    slice_,
)
from tests.publishing import translate, usual_options

NODES = [
    node("node-1", ("InternalIP", "10.0.0.1"), ("ExternalIP", "198.51.100.1")),
    node("node-2", ("InternalIP", "10.0.0.2"), ("InternalIP", "10.9.9.9")),
    node("node-3", ("InternalIP", "10.0.0.3")),
]
UP = [slice_(endpoint("10.1.0.5", "cart-0"))]


def run(
    annotations: dict[str, str] | None = None,
    slices: Iterable[EndpointSlice] = UP,
    nodes: list[Node] = NODES,
    options: Options = usual_options(),  # noqa: B008 - frozen
    pods: dict[str, dict[str, str]] | None = None,
    **fields: Any,
) -> Translation:
    """Translate the Service cart; annotations without their prefix."""
    notes = {f"lbsync.io/{name}": text for name, text in (annotations or {}).items()}
    notes.setdefault("lbsync.io/hosts", "cart.example")
    return translate(
        service(annotations=notes, **fields),
        slices,
        node_pool(nodes, options),
        options=options,
        pod_labels=pods or {},
    )


def servers(found: Translation, group: str = "default") -> list[str]:
    """The servers as `name address:port`, with weight and state where they are not the usual."""
    assert found.refusal is None
    record = found.records[f"endpoints/{found.service}/{group}"]
    assert isinstance(record, EndpointsRecord)
    shown = []
    for s in record.servers:
        weight = f" w{s.weight}" if s.weight != 1 else ""
        state = f" {s.state}" if s.state != "up" else ""
        shown.append(f"{s.name} {s.address}:{s.port}{weight}{state}")
    return shown


def pods(*states: dict[str, bool]) -> list[EndpointSlice]:
    return [slice_(*(endpoint(f"10.1.0.{i}", f"p{i}", **s) for i, s in enumerate(states, 1)))]


HOST = {"lbsync.io/hosts": "web.example"}
POD = {"address-mode": "pod"}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([READY, READY], ["p1 10.1.0.1:8080", "p2 10.1.0.2:8080"]),
        ([READY, UNREADY], ["p1 10.1.0.1:8080"]),
        ([READY, DRAINING], ["p1 10.1.0.1:8080", "p2 10.1.0.2:8080 drain"]),
        ([READY, {"ready": False}], ["p1 10.1.0.1:8080"]),
        ([READY, GONE], ["p1 10.1.0.1:8080"]),
        ([DRAINING, DRAINING], ["p1 10.1.0.1:8080", "p2 10.1.0.2:8080"]),
        ([DRAINING, UNREADY], ["p1 10.1.0.1:8080"]),
        # publishNotReadyAddresses makes even a terminating pod ready: the check decides.
        ([{"ready": True, "terminating": True}], ["p1 10.1.0.1:8080"]),
        ([UNREADY, GONE], []),
        ([], []),
    ],
)
def test_ready_pods_are_up_and_terminating_ones_drain_while_another_is_up(
    states: list[dict[str, bool]], expected: list[str]
) -> None:
    assert servers(run(POD, pods(*states))) == expected


def test_what_a_real_api_server_says_is_understood() -> None:
    slices = recorded_slices()
    uid = {found.service: found.owner_uid for found in slices}
    web = service("web", namespace="default", uid=uid["web"], annotations=HOST)
    pool = node_pool([], usual_options())
    found = translate(web, slices, pool, options=usual_options(address_mode="pod"))
    assert servers(found) == [
        "web-7f5f7cbd6b-4pzlv 10.244.0.1:8080",
        "web-7f5f7cbd6b-pk54r 10.244.0.2:8080",
        "web-7f5f7cbd6b-wzkkh 10.244.0.3:8080",
    ]
    local = service("np-local", namespace="default", uid=uid["np-local"], type="NodePort",
                    annotations=HOST, external_traffic_policy="Local")  # fmt: skip
    nodes = [node(f"node-{i}", ("InternalIP", f"192.0.2.{i}")) for i in (1, 2, 3)]
    found = translate(local, slices, node_pool(nodes, usual_options()))
    assert servers(found) == ["node-3 192.0.2.3:30080"]


def test_a_recorded_service_without_slices_is_published_and_empty() -> None:
    for recorded in recorded_services():
        found = msgspec.structs.replace(
            recorded, labels={"lbsync.io/publish": "true"}, annotations=HOST
        )
        result = translate(found, [], node_pool(NODES, usual_options()))
        assert list(result.records) == [
            f"endpoints/golden/{recorded.name}/default",
            f"services/golden/{recorded.name}",
        ]
        assert servers(result) == []


def test_a_portless_headless_service_takes_its_port_from_the_annotation() -> None:
    slices = recorded_slices()
    uid = next(s.owner_uid for s in slices if s.service == "hl-noports")
    headless = {"namespace": "default", "uid": uid, "ports": (), "cluster_ips": ("None",),
                "type": "ClusterIP", "ip_families": ()}  # fmt: skip
    notes = {"lbsync.io/address-mode": "pod", "lbsync.io/hosts": "h.example"}
    pool = node_pool([], usual_options())
    without = translate(service("hl-noports", annotations=notes, **headless), slices, pool)
    assert without.refusal is not None
    assert "has no ports" in without.refusal.reason
    notes["lbsync.io/port"] = "9000"
    found = translate(service("hl-noports", annotations=notes, **headless), slices, pool)
    assert servers(found) == ["web-7f5f7cbd6b-wzkkh 10.244.0.3:9000"]


def test_slices_of_a_predecessor_of_the_same_name_are_not_used() -> None:
    old = slice_(endpoint("10.1.0.9", "old"), name="cart-old", owner_uid="older-uid")
    by_hand = slice_(endpoint("10.1.0.6", ""), name="by-hand", owner_uid="")
    elsewhere = slice_(endpoint("10.1.0.8", "x"), name="cart-x", namespace="other")
    another = slice_(endpoint("10.1.0.7", "y"), name="pay-y", service="pay")
    found = run(POD, [*UP, old, by_hand, elsewhere, another])
    assert servers(found) == ["cart-0 10.1.0.5:8080", "node-1 10.1.0.6:8080"]


def test_all_slices_count_and_an_endpoint_that_moves_between_two_counts_once() -> None:
    first = slice_(endpoint("10.1.0.1", "a", **DRAINING), endpoint("10.1.0.2", "b"), name="s1")
    second = slice_(endpoint("10.1.0.1", "a"), endpoint("10.1.0.3", "c"), name="s2")
    expected = ["a 10.1.0.1:8080", "b 10.1.0.2:8080", "c 10.1.0.3:8080"]
    assert servers(run(POD, [first, second])) == expected
    assert run(POD, [second, first]) == run(POD, [first, second])


def test_each_slice_gives_the_number_of_its_own_named_port() -> None:
    old = slice_(endpoint("10.1.0.1", "old"), name="s1")
    new = slice_(endpoint("10.1.0.2", "new"), name="s2",
                 ports=(SlicePort("http", 9090, "TCP", ""), SlicePort("metrics", 1, "TCP", "")))  # fmt: skip
    assert servers(run(POD, [old, new])) == ["new 10.1.0.2:9090", "old 10.1.0.1:8080"]


def test_a_slice_without_the_port_is_reported_and_left_out() -> None:
    found = run(POD, [slice_(endpoint("10.1.0.1", "a"), ports=(SlicePort("grpc", 1, "TCP", ""),))])
    assert servers(found) == []
    assert "has no TCP port 'http'" in found.notices[0].reason


NULL = SlicePort("http", 0, "TCP", "")


@pytest.mark.parametrize(
    ("target", "ports", "expected"),
    [
        (9000, (), 9000),
        (9000, (NULL,), 9000),
        (9000, (SlicePort("", 0, "TCP", ""),), 9000),
        (9000, (SlicePort("admin", 1, "TCP", ""), NULL), 9000),
        (9000, (NULL, SlicePort("http", 8080, "TCP", "")), 8080),
        (9000, (SlicePort("http", 0, "UDP", ""),), None),
        (9000, (SlicePort("admin", 0, "TCP", ""),), None),
        (0, (), None),
        (0, (NULL,), None),
    ],
)
def test_a_slice_that_stands_for_all_ports_takes_the_target_port_of_the_service(
    target: int, ports: tuple[SlicePort, ...], expected: int | None
) -> None:
    own = (ServicePort("http", 80, 30080, "TCP", "", target),)
    found = run(POD, [slice_(endpoint("10.1.0.1", "a"), ports=ports)], ports=own)
    assert servers(found) == ([f"a 10.1.0.1:{expected}"] if expected else [])
    assert bool(found.notices) is (expected is None)


DNS = ServicePort("dns", 53, 0, "UDP", "")
METRICS = ServicePort("metrics", 9100, 30910, "TCP", "")
HTTP = ServicePort("http", 80, 30080, "TCP", "")


@pytest.mark.parametrize(
    ("ports", "wanted", "expected"),
    [
        ((HTTP,), "", "10.0.0.1:30080"),
        ((HTTP, DNS), "", "10.0.0.1:30080"),
        ((HTTP, METRICS), "http", "10.0.0.1:30080"),
        ((HTTP, METRICS), "80", "10.0.0.1:30080"),
        ((HTTP, METRICS), "", "several TCP ports; name one of http (80), metrics (9100)"),
        ((HTTP,), "grpc", "annotation lbsync.io/port names port 'grpc', which the Service"),
        ((DNS,), "", "port dns (53) is UDP, and HAProxy balances TCP only"),
        ((HTTP, DNS), "53", "is UDP"),
        ((ServicePort("http", 80, 0, "TCP", ""),), "", "has no nodePort; set allocate"),
        ((), "80", "has no nodePort"),
        ((), "http", "declares no such port"),
        ((ServicePort("http", 70_000, 30080, "TCP", ""),), "", "which the Service does not have"),
    ],
)
def test_the_port_is_the_one_that_is_named_or_the_only_one(
    ports: tuple[ServicePort, ...], wanted: str, expected: str
) -> None:
    found = run({"port": wanted} if wanted else {}, ports=ports, nodes=NODES[:1])
    if expected.startswith("10."):
        assert servers(found) == [f"node-1 {expected}"]
    else:
        assert expected in str(found.refusal)
        assert found.records == {}


@pytest.mark.parametrize(
    ("annotations", "fields", "said"),
    [
        ({}, {"type": "ClusterIP"}, "nodeport needs a Service of type NodePort or LoadBalancer"),
        (POD, {"type": "ExternalName"}, "set annotation lbsync.io/address-mode: external-name"),
        (
            {"address-mode": "clusterip"},
            {"cluster_ips": ("None",)},
            "needs a Service with a cluster IP",
        ),
        (
            {"address-mode": "external-name"},
            {},
            "needs a Service of type ExternalName, not 'NodePort'",
        ),
        ({"address-mode": "lb-status"}, {}, "needs a Service of type LoadBalancer"),
        (
            {"address-mode": "magic"},
            {},
            "none of pod, nodeport, clusterip, external-name, lb-status",
        ),
        ({"ip-family": "v6"}, {}, "ip-family v6 is asked for, and the Service has v4 only"),
        ({"group-label": "color"}, {}, "groups by label need the pods' own addresses"),
        ({"group": "Blue!"}, {}, "no name of a group"),
    ],
)
def test_a_mode_that_does_not_fit_is_refused_with_the_cure(
    annotations: dict[str, str], fields: dict[str, Any], said: str
) -> None:
    found = run(annotations, **fields)
    assert said in str(found.refusal)
    assert found.refusal is not None
    assert found.refusal.object == "Service shop/cart"
    assert found.records == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("InternalIP", ["node-1 10.0.0.1:30080", "node-2 10.0.0.2:30080", "node-3 10.0.0.3:30080"]),
        ("externalip", ["node-1 198.51.100.1:30080"]),
        (
            "ExternalFirst",
            ["node-1 198.51.100.1:30080", "node-2 10.0.0.2:30080", "node-3 10.0.0.3:30080"],
        ),
    ],
)
def test_the_first_address_of_the_wanted_kind_is_the_nodes(kind: str, expected: list[str]) -> None:
    assert servers(run({"node-address": kind})) == expected


def test_nodes_are_those_of_kubernetes_own_service_controller() -> None:
    excluded = "node.kubernetes.io/exclude-from-external-load-balancers"
    address = ("InternalIP", "10.0.0.9")
    nodes = [
        node("kept", ("InternalIP", "10.0.0.8"), taint="node.kubernetes.io/not-ready"),
        node("a", address, labels={excluded: ""}),
        node("b", address, taint="ToBeDeletedByClusterAutoscaler"),
        node("c", address, deleting=True),
    ]
    assert servers(run(nodes=nodes)) == ["kept 10.0.0.8:30080"]
    edge = [node("edge", ("InternalIP", "10.0.0.7"), labels={"role": "edge"}), *nodes]
    assert servers(run(nodes=edge, options=usual_options(node_selector={"role": "edge"}))) == [
        "edge 10.0.0.7:30080"
    ]


@pytest.mark.parametrize("mode", ["nodeport", "clusterip"])
def test_without_an_endpoint_up_nothing_could_answer_so_the_list_is_empty(mode: str) -> None:
    assert servers(run({"address-mode": mode}, pods(UNREADY))) == []
    assert servers(run({"address-mode": mode}, pods(DRAINING))) != []


def test_policy_local_uses_the_nodes_that_have_endpoints_as_much_as_they_have() -> None:
    slices = [
        slice_(
            endpoint("10.1.0.1", "a", node="node-1"),
            endpoint("10.1.0.2", "b", node="node-1"),
            endpoint("10.1.0.3", "c", node="node-2", **DRAINING),
            endpoint("10.1.0.4", "d", node="node-3", **UNREADY),
        )
    ]
    found = run({}, slices, external_traffic_policy="Local")
    assert servers(found) == ["node-1 10.0.0.1:30080 w2", "node-2 10.0.0.2:30080 drain"]
    record = found.records["services/shop/cart"]
    assert isinstance(record, ServiceRecord)
    assert record.check.kind == "tcp"


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, ("http", "/healthz", 32000)),
        ({"check-interval": "9s"}, ("http", "/healthz", 32000)),
        ({"check-type": "tcp"}, ("tcp", msgspec.UNSET, msgspec.UNSET)),
        ({"check-path": "/up"}, ("http", "/up", msgspec.UNSET)),
    ],
)
def test_policy_local_is_checked_at_kube_proxy_unless_the_user_says_how(
    annotations: dict[str, str], expected: tuple[object, ...]
) -> None:
    found = run(annotations, type="LoadBalancer", external_traffic_policy="Local",
                health_check_node_port=32000)  # fmt: skip
    record = found.records["services/shop/cart"]
    assert isinstance(record, ServiceRecord)
    assert (record.check.kind, record.check.path, record.check.port) == expected


DUAL: dict[str, Any] = {"ip_families": ("IPv6", "IPv4"), "cluster_ips": ("fd00:96::7", "10.96.0.7")}
BOTH_SLICES = [
    slice_(endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "only4"), name="v4"),
    slice_(endpoint("fd00:1::1", "a"), name="v6", address_type="IPv6"),
]


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("auto", ["a fd00:1::1:8080"]),
        ("v4", ["a 10.1.0.1:8080", "only4 10.1.0.2:8080"]),
        ("v6", ["a fd00:1::1:8080"]),
        ("both", ["a 10.1.0.1:8080", "a-v6 fd00:1::1:8080", "only4 10.1.0.2:8080 w2"]),
    ],
)
def test_a_dual_stack_pod_weighs_as_much_as_any_other(family: str, expected: list[str]) -> None:
    assert servers(run({**POD, "ip-family": family}, BOTH_SLICES, **DUAL)) == expected


def test_nodes_and_cluster_addresses_follow_the_family_too() -> None:
    nodes = [node("n1", ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")),
             node("n2", ("InternalIP", "10.0.0.2"))]  # fmt: skip
    found = run({"ip-family": "both"}, BOTH_SLICES, nodes, **DUAL)
    assert servers(found) == [
        "n1 10.0.0.1:30080",
        "n1-v6 fd00::1:30080",
        "n2 10.0.0.2:30080 w2",
    ]
    assert "1 nodes have no InternalIP of the wanted family, among them n2" in str(found.notices)
    notes = {"ip-family": "both", "address-mode": "clusterip"}
    assert servers(run(notes, BOTH_SLICES, **DUAL)) == [
        "cart 10.96.0.7:80",
        "cart-v6 fd00:96::7:80",
    ]
    # A family nobody listens in is no server.
    assert servers(run(notes, BOTH_SLICES[:1], **DUAL)) == ["cart 10.96.0.7:80"]


def test_names_are_always_unique_and_fit_haproxy() -> None:
    long = "x" * 200
    endpoints = [
        endpoint("10.1.0.1", node=""),
        endpoint("10.1.0.2", node=long),
        endpoint("10.1.0.3", hostname="db-0"),
        endpoint("10.1.0.4", node="node-9"),
        endpoint("10.1.0.5", node="node-9"),
        endpoint("10.1.0.6", "bad name!"),
    ]
    names = [text.split()[0] for text in servers(run(POD, [slice_(*endpoints)]))]
    assert len(set(names)) == 6
    assert {"ip-10.1.0.1", "db-0"} < set(names)
    assert all(len(name) <= 80 for name in names)
    assert sum(name.startswith("node-9-") for name in names) == 2


def test_groups_come_from_pod_labels_then_slice_labels_then_the_default() -> None:
    slices = [
        slice_(endpoint("10.1.0.1", "a"), endpoint("10.1.0.2", "b"), name="s1"),
        slice_(endpoint("10.1.0.3", "c"), name="s2", labels={"color": "green"}),
    ]
    notes = {**POD, "group-label": "color"}
    found = run(notes, slices, pods={"a": {"color": "blue"}, "b": {"x": "y"}})
    assert servers(found, "blue") == ["a 10.1.0.1:8080"]
    assert servers(found, "default") == ["b 10.1.0.2:8080"]
    assert servers(found, "green") == ["c 10.1.0.3:8080"]
    unknown = run(notes, slices)
    assert sorted(key for key in unknown.records if key.startswith("endpoints/")) == [
        "endpoints/shop/cart/green"
    ], "of Pods not known yet nobody can tell"
    bad = run(notes, slices, pods={"a": {"color": "Dark_Blue"}, "b": {}})
    assert bad.refusal is None
    assert "label 'color' is 'Dark_Blue', which cannot name a group" in str(bad.notices)
    assert servers(bad, "default") == ["b 10.1.0.2:8080"]


def test_each_group_keeps_a_server_while_it_drains() -> None:
    slices = [
        slice_(endpoint("10.1.0.1", "a"), name="s1", labels={"color": "blue"}),
        slice_(endpoint("10.1.0.2", "b", **DRAINING), name="s2", labels={"color": "green"}),
    ]
    found = run({**POD, "group-label": "color"}, slices)
    assert servers(found, "green") == ["b 10.1.0.2:8080"]


def test_one_group_may_be_named_for_a_service_or_a_whole_cluster() -> None:
    assert servers(run({"group": "blue"}, nodes=NODES[:1]), "blue") == ["node-1 10.0.0.1:30080"]
    west = usual_options(default_group="west")
    assert servers(run(options=west, nodes=NODES[:1]), "west") == ["node-1 10.0.0.1:30080"]


@pytest.mark.parametrize("wrong", [{"source": ""}, {"default_group": "West!"}])
def test_options_that_no_record_could_hold_are_refused_at_once(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"empty|no name of a group"):
        usual_options(**wrong)


def test_load_balancer_addresses_are_servers_when_asked_for() -> None:
    notes = {"address-mode": "lb-status"}
    found = run(notes, type="LoadBalancer", load_balancer=("203.0.113.9", "203.0.113.1", "fd00::9"))
    assert servers(found) == ["ip-203.0.113.1 203.0.113.1:80", "ip-203.0.113.9 203.0.113.9:80"]
    pending = run(notes, type="LoadBalancer")
    assert servers(pending) == []
    assert "no address yet" in pending.notices[0].reason


def external(**more: str) -> dict[str, Any]:
    return {"annotations": {"address-mode": "external-name", "port": "5432", **more},
            "type": "ExternalName", "ports": (), "cluster_ips": (), "ip_families": ()}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "annotation", "allowed"),
    [
        ("annotated", "", False),
        ("annotated", "true", True),
        ("never", "true", False),
        ("always", "", True),
        ("claimed", "true", False),
    ],
)
def test_names_outside_the_cluster_need_permission(
    policy: Any, annotation: str, *, allowed: bool
) -> None:
    more = {"allow-external-name": annotation} if annotation else {}
    found = run(
        **external(**more), external_name="192.0.2.7", options=usual_options(external_names=policy)
    )
    if allowed:
        assert servers(found) == ["cart 192.0.2.7:5432"]
    else:
        assert "not allowed" in str(found.refusal)


@pytest.mark.parametrize(
    ("namespace", "what", "allowed"),
    [
        ("shop", "db.example.com", True),
        ("*", "*.example.com", True),
        ("shop", "*", True),
        ("bank", "db.example.com", False),
        ("shop", "*.db.example.com", False),
        ("shop", "example.com", False),
        ("shop", "10.0.0.0/8", False),
    ],
)
def test_by_default_a_name_outside_is_for_whom_the_operator_gives_it(
    namespace: str, what: str, *, allowed: bool
) -> None:
    options = usual_options(given_names=((namespace, what),))
    said = external(**{"allow-external-name": "true"})
    found = run(**said, external_name="DB.example.com.", options=options)
    assert (found.refusal is None) is allowed
    if not allowed:
        assert 'add "shop=db.example.com" to [claims] servers' in str(found.refusal)


def test_an_external_name_is_a_server_by_its_name() -> None:
    more = external() | {"options": usual_options(external_names="always")}
    assert servers(run(**more, external_name="DB.example.com.")) == ["cart db.example.com:5432"]
    assert "its address cannot be a server's" in str(run(**more, external_name="db").refusal)


def test_where_an_ip_address_belongs_a_name_is_left_out() -> None:
    found = run(POD, [slice_(endpoint("db.example.com", "a"), endpoint("10.1.0.2", "b"))])
    assert servers(found) == ["b 10.1.0.2:8080"]
    assert "'db.example.com' is a name" in found.notices[0].reason
    assert servers(run(nodes=[node("n", ("InternalIP", "n.example.com"))])) == []
    assert run({"address-mode": "clusterip"}, cluster_ips=("c.example.com",)).refusal is not None
    lb = run({"address-mode": "lb-status"}, type="LoadBalancer", load_balancer=("lb.example.com",))
    assert servers(lb) == ["lb.example.com lb.example.com:80"]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("pod", "clients may move when servers do"),
        ("nodeport", "all traffic of one HAProxy host would go to one pod"),
        ("clusterip", "all traffic of one HAProxy host would go to one pod"),
    ],
)
def test_session_affinity_is_served_or_warned_of(mode: str, said: str) -> None:
    found = run({"address-mode": mode}, session_affinity="ClientIP", affinity_timeout=10800)
    assert said in str(found.notices[0])
    record = found.records["services/shop/cart"]
    assert isinstance(record, ServiceRecord)
    assert record.balance == ("source" if mode == "pod" else "roundrobin")


def test_an_annotation_says_more_of_affinity_than_the_service() -> None:
    for more in ({"balance": "first"}, {"sticky-cookie": "SRV"}):
        found = run(POD | more, session_affinity="ClientIP")
        record = found.records["services/shop/cart"]
        assert isinstance(record, ServiceRecord)
        assert record.balance != "source"
        assert found.notices == ()


def test_a_port_of_another_protocol_is_warned_of() -> None:
    https = (ServicePort("http", 80, 30080, "TCP", "https"),)
    assert "servers are spoken to in plain HTTP/1.1" in str(run(ports=https).notices)
    websocket = (ServicePort("http", 80, 30080, "TCP", "kubernetes.io/ws"),)
    assert run(ports=websocket).notices == ()


def test_fqdn_slices_are_named_and_left_out() -> None:
    found = run(POD, [*UP, slice_(endpoint("db.example", "x"), name="f", address_type="FQDN")])
    assert servers(found) == ["cart-0 10.1.0.5:8080"]
    assert "EndpointSlice f has addresses of type 'FQDN'" in found.notices[0].reason


@pytest.mark.parametrize(
    "fields", [{"labels": {}}, {"labels": {"lbsync.io/publish": "false"}}, {"deleting": True}]
)
def test_a_service_without_the_label_or_on_its_way_out_is_not_published(fields: Any) -> None:
    assert run(**fields) == Translation("shop/cart")


def test_more_servers_than_a_key_holds_are_refused() -> None:
    many = slice_(*(endpoint(f"10.{i // 250}.{i % 250}.1", f"p{i}") for i in range(5001)))
    assert "group default has 5001 servers" in str(run(POD, [many]).refusal)


def test_a_translation_knows_the_keys_that_stem_from_its_service() -> None:
    found = Translation("shop/cart")
    assert found.owns("services/shop/cart")
    assert found.owns("services/shop/cart.2")
    assert found.owns("endpoints/shop/cart.p8080.2/blue")
    assert not found.owns("services/shop/cart2")
    assert not found.owns("routes/shop/cart")
    assert not found.owns("endpoints/other/cart/blue")


def test_cures_lead_where_they_say() -> None:
    nodes = run(type="ExternalName", external_name="a.example.com")
    assert "set annotation lbsync.io/address-mode: external-name" in str(nodes.refusal)
    tcp = run({"mode": "tcp", "hosts": ""})
    assert "lbsync.io/listen: a tcp service needs the port it listens on; set it" in str(
        tcp.refusal
    )
    unnamed = SlicePort("other", 8080, "TCP", "")
    found = run(POD, [slice_(endpoint("10.1.0.1", "a"), ports=(unnamed,))],
                ports=(ServicePort("", 80, 30080, "TCP", ""),))  # fmt: skip
    assert "has no TCP port without a name; its endpoints are left out" in str(found.notices[0])
