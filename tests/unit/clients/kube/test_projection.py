"""What is kept of Kubernetes objects, whatever they look like."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import kube_objects as kube
from lbsync.clients.kube.errors import ApiUnavailable
from lbsync.clients.kube.kinds import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    NODES,
    PODS,
    SERVICES,
    Kind,
)
from lbsync.errors import LbsyncError, Rejected

KINDS: list[Kind[Any]] = [SERVICES, ENDPOINT_SLICES, NODES, INGRESSES, INGRESS_CLASSES, PODS]
DATA = Path(__file__).parents[3] / "data/kube-apiserver-1.20.2.jsonl"

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
#: Words that the API uses, so that whatever is drawn often lands where something is read.
words = st.sampled_from(
    [
        *("metadata", "spec", "status", "ports", "port", "nodePort", "endpoints", "addresses"),
        *("conditions", "ready", "labels", "annotations", "name", "namespace", "targetRef"),
        *("topology", "taints", "rules", "http", "paths", "backend", "service", "items", "kind"),
        *("loadBalancer", "ingress", "clusterIPs", "ownerReferences", "sessionAffinityConfig"),
    ]
)
likely = st.recursive(
    scalars | st.sampled_from(["web", "10.0.0.1", 80, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=6),
    max_leaves=30,
)


def read(kind: Kind[Any], **found: Any) -> Any:
    meta = {"name": "web", "namespace": "shop"} | found.pop("metadata", {})
    entry = kind.read(json.dumps({"metadata": meta} | found).encode())
    assert entry.value is not None, entry.problem
    return entry.value


# To draw takes most of the time, so each kind judges what was drawn once.


@given(found=anything | likely)
def test_any_json_is_read_or_refused_with_a_reason(found: Any) -> None:
    for kind in KINDS:
        try:
            entry = kind.read(json.dumps(found).encode())
        except Rejected as error:
            assert str(error)
        else:
            assert (entry.value is None) == bool(entry.problem), kind.name


@given(rest=st.dictionaries(words, likely, max_size=5))
def test_an_object_with_a_name_always_has_its_place(rest: Any) -> None:
    meta = {"name": "web", "namespace": "shop", "resourceVersion": "7"}
    for kind in KINDS:
        entry = kind.read(json.dumps(rest | {"metadata": meta}).encode())
        assert (entry.key, entry.version) == (("shop", "web"), "7"), kind.name


@given(body=st.binary(max_size=200) | (anything | likely).map(lambda v: json.dumps(v).encode()))
def test_any_answer_is_a_list_or_refused(body: bytes) -> None:
    for kind in KINDS:
        try:
            page = kind.page(body, "list things")
        except LbsyncError as error:
            assert str(error)
        else:
            # What is no list must not be read as an empty one.
            assert json.loads(body)["kind"].endswith("List")
            assert page.version


@given(items=st.lists(likely, max_size=4))
def test_one_strange_object_does_not_hide_the_others(items: list[Any]) -> None:
    good = {"metadata": {"name": "good", "resourceVersion": "3"}, "spec": {}}
    body = {"kind": "ServiceList", "metadata": {"resourceVersion": "9"}, "items": [*items, good]}
    try:
        page = SERVICES.page(json.dumps(body).encode(), "list services")
    except Rejected:
        # Something without a name cannot be told apart; then there is no list.
        return
    assert page.entries[-1].key == ("", "good")
    assert len(page.entries) == len(items) + 1


def test_nesting_without_end_is_refused() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    with pytest.raises(Rejected):
        SERVICES.read(b'{"metadata":{"name":"a"},"x":' + deep + b"}")
    with pytest.raises(ApiUnavailable):
        SERVICES.page(deep, "list services")


def test_a_list_of_null_is_empty_and_a_list_without_items_is_none() -> None:
    head = '"kind":"ServiceList","metadata":{"resourceVersion":"9"}'
    assert SERVICES.page(f'{{{head},"items":null}}'.encode(), "").entries == []
    with pytest.raises(ApiUnavailable):
        SERVICES.page(f"{{{head}}}".encode(), "")


def test_a_list_of_something_else_is_refused() -> None:
    body = b'{"kind":"NodeList","metadata":{"resourceVersion":"9"},"items":[]}'
    with pytest.raises(ApiUnavailable, match="'NodeList', wanted ServiceList"):
        SERVICES.page(body, "list services")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_but_a_name_is_enough(kind: Kind[Any]) -> None:
    found = read(kind)
    assert found.name == "web"
    for field in found.__struct_fields__:
        assert getattr(found, field) is not None or field == "default_backend"


def test_recorded_slices_of_v1beta1_are_read() -> None:
    cases = [json.loads(line) for line in DATA.read_text().splitlines()]
    listed = next(case for case in cases if case["case"].startswith("endpointslices v1beta1"))
    page = ENDPOINT_SLICES.page(json.dumps(listed["body"][0]).encode(), "list")
    slices = {entry.key[1]: entry.value for entry in page.entries}
    found = slices["hl-724dp"]
    assert found is not None
    assert (found.service, found.owner_uid) == ("hl", "608b4075-63ab-4ecb-a844-31c2edbe37ce")
    assert {(e.address, e.ready, e.node, e.zone) for e in found.endpoints} >= {
        ("10.244.0.3", True, "node-3", "z3"),
        ("10.244.0.2", False, "node-2", "z2"),
    }
    empty = slices["hl-hdfzd"]
    assert empty is not None
    assert (empty.endpoints, empty.ports, empty.address_type) == ((), (), "IPv6")


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        (None, (True, True, False)),
        ({}, (True, True, False)),
        ({"ready": None, "serving": None, "terminating": None}, (True, True, False)),
        ({"ready": False}, (False, False, False)),
        ({"ready": False, "serving": True, "terminating": True}, (False, True, True)),
        ({"ready": True, "serving": False}, (True, False, False)),
    ],
)
def test_conditions_that_are_not_said_are_filled_in(conditions: Any, state: Any) -> None:
    endpoints = [{"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": conditions}]
    (found,) = read(ENDPOINT_SLICES, endpoints=endpoints).endpoints
    assert (found.ready, found.serving, found.terminating) == state
    assert found.address == "10.0.0.1"


def test_an_endpoint_without_address_is_left_out() -> None:
    endpoints = [{"addresses": []}, {"addresses": None}, {}, {"addresses": ["10.0.0.1"]}]
    assert len(read(ENDPOINT_SLICES, endpoints=endpoints).endpoints) == 1


def test_an_endpoint_keeps_what_names_and_places_it() -> None:
    endpoint = {
        "addresses": ["10.0.0.1"],
        "hostname": "db-0",
        "nodeName": "n1",
        "zone": "z1",
        "targetRef": {"kind": "Pod", "name": "db-0", "uid": "u1"},
    }
    (found,) = read(ENDPOINT_SLICES, endpoints=[endpoint]).endpoints
    assert found == kube.Endpoint("10.0.0.1", True, True, False, "db-0", "u1", "db-0", "n1", "z1")


def test_a_service_keeps_what_decides_its_servers() -> None:
    found = read(
        SERVICES,
        metadata={
            "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
        },
        spec={
            "type": "LoadBalancer",
            "selector": {"app": "web"},
            "ports": [{"name": "http", "port": 80, "nodePort": 30080, "appProtocol": "h2c"}],
            "clusterIPs": ["10.96.0.1", "fd00::1"],
            "ipFamilies": ["IPv4", "IPv6"],
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 30999,
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "publishNotReadyAddresses": True,
            "allocateLoadBalancerNodePorts": False,
            "externalIPs": ["192.0.2.9"],
        },
        status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}, {}]}},
    )
    assert found.annotations == {"a": "b"}
    assert found.ports == (kube.ServicePort("http", 80, 30080, "TCP", "h2c", 80),)
    assert (found.cluster_ips, found.ip_families) == (("10.96.0.1", "fd00::1"), ("IPv4", "IPv6"))
    assert (found.external_traffic_policy, found.health_check_node_port) == ("Local", 30999)
    assert (found.session_affinity, found.affinity_timeout) == ("ClientIP", 60)
    assert (found.publish_not_ready, found.allocates_node_ports, found.selects) == (
        True,
        False,
        True,
    )
    assert found.load_balancer == ("192.0.2.1", "lb.example")
    assert found.external_ips == ("192.0.2.9",)


def test_an_old_server_s_single_cluster_ip_is_taken() -> None:
    assert read(SERVICES, spec={"clusterIP": "10.96.0.1"}).cluster_ips == ("10.96.0.1",)
    assert read(SERVICES, spec={"clusterIP": "None"}).cluster_ips == ("None",)


def test_a_node_keeps_addresses_labels_taints_and_whether_it_goes() -> None:
    found = read(
        NODES,
        metadata={"labels": {"zone": "a"}, "deletionTimestamp": "2024-01-01T00:00:00Z"},
        spec={"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]},
        status={
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}, {"type": "Hostname"}],
            "conditions": [{"type": "Ready", "lastHeartbeatTime": "now"}],
        },
    )
    assert found.addresses == (kube.NodeAddress("InternalIP", "192.0.2.1"),)
    assert found.taints == (kube.Taint("ToBeDeletedByClusterAutoscaler", "", "NoSchedule"),)
    assert (found.labels, found.deleting) == ({"zone": "a"}, True)


def test_an_ingress_keeps_its_rules_and_backends() -> None:
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    found = read(
        INGRESSES,
        spec={
            "ingressClassName": "lbsync",
            "defaultBackend": {"service": {"name": "error", "port": {"number": 80}}},
            "rules": [
                {"host": "a.example", "http": {"paths": [
                    {"path": "/x", "pathType": "Prefix", "backend": backend},
                    {"path": "/r", "pathType": "Exact", "backend": {"resource": {"kind": "B"}}},
                ]}},
                {"host": "b.example"},
            ],
            "tls": [{"hosts": ["a.example"], "secretName": "s"}, {}],
        },
    )  # fmt: skip
    assert (found.class_name, found.default_backend) == ("lbsync", kube.Backend("error", "", 80))
    first, second = found.rules
    assert first.paths[0] == kube.IngressPath("/x", "Prefix", kube.Backend("web", "http", 0))
    assert first.paths[1].backend.service == ""
    assert (second.host, second.paths) == ("b.example", ())
    assert found.tls_hosts == ("a.example",)


def test_the_default_class_is_known_by_its_annotation() -> None:
    annotations = {"ingressclass.kubernetes.io/is-default-class": "true"}
    found = read(INGRESS_CLASSES, metadata={"annotations": annotations}, spec={"controller": "c"})
    assert (found.is_default, found.controller) == (True, "c")
    assert not read(INGRESS_CLASSES).is_default


@pytest.mark.parametrize(("target", "expected"), [(8080, 8080), ("http", 0), (None, 80), (0, 80)])
def test_a_target_port_is_a_number_a_name_or_that_of_the_service(
    target: Any, expected: int
) -> None:
    ports = [{"port": 80, "targetPort": target}]
    assert read(SERVICES, spec={"ports": ports}).ports[0].target_port == expected


def test_the_parameters_of_a_class_are_named() -> None:
    spec = {"parameters": {"apiGroup": "x", "kind": "ConfigMap", "name": "a", "namespace": "b"}}
    assert read(INGRESS_CLASSES, spec=spec).parameters == "ConfigMap b/a"
    assert read(INGRESS_CLASSES, spec={}).parameters == ""
