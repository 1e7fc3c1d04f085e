"""Whatever an object holds: records that the contract accepts, or a named refusal. Never a fault."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbsync.kube_objects import (
    Backend,
    Endpoint,
    EndpointSlice,
    Ingress,
    IngressPath,
    IngressRule,
    Node,
    NodeAddress,
    Service,
    ServicePort,
    SlicePort,
)
from lbsync.publisher.translate import (
    Options,
    Translation,
    inspect_ingress,
    is_ours,
    node_pool,
    our_classes,
)
from lbsync.publisher.translate.fields import FIELDS
from lbsync.publisher.translate.placement import PLACE_NAMES
from lbsync.publisher.translate.report import Notice, Refusal
from lbsync.publisher.translate.vendors.tables import VENDORS
from lbsync.schema.decode import decode, encode
from lbsync.schema.keys import parse_key
from tests.kube_objects import endpoint, ingress, rule, service, slice_
from tests.publishing import translate, usual_options

NAMES = st.sampled_from(
    [
        *(f"lbsync.io/{name}" for name in (*FIELDS, *PLACE_NAMES, "accept-unprotected")),
        *(p + n for v in VENDORS for p in v.prefixes for n in (*v.given, *v.lacking)),
    ]
) | st.text(max_size=20).map(lambda text: f"lbsync.io/{text}")
SENSIBLE = [
    *(
        "true",
        "false",
        "1",
        "80",
        "http",
        "tcp",
        "5s",
        "2m",
        "/",
        "/up",
        "GET /up",
        "cookie",
        "none",
    ),
    *("pod", "nodeport", "clusterip", "external-name", "lb-status", "both", "v6", "auto", "blue"),
    *(
        '{"path":"/x"}',
        '["a.example"]',
        "a.example,b.example",
        "X-A: b",
        "leastconn",
        "301",
        "200-299",
    ),
    *(
        "InternalIP",
        "color",
        "[[[[",
        "{}",
        '{"a":{"b":[1e400,null]}}',
        "99999999999999999999",
        "nan",
    ),
]
TEXT = st.sampled_from(SENSIBLE) | st.text(st.characters(codec=None), max_size=40)
ANNOTATIONS = st.dictionaries(NAMES, TEXT, max_size=8)
NUMBER = st.sampled_from([80, 8080, 30080]) | st.integers(-1, 70_000)
PROTOCOL = st.sampled_from(["TCP", "TCP", "TCP", "UDP", "SCTP", ""])
PORT_NAME = st.sampled_from(["http", "", "metrics"])
ADDRESS = st.sampled_from(["10.1.0.1", "10.1.0.2", "fd00::1", "::", "db.example", ""]) | st.ip_addresses(
).map(str)  # fmt: skip
SOME_NAME = st.sampled_from(["cart", "cart-0", "node-1", "node-2", ""]) | st.text(max_size=90)
FLAG = st.booleans()
PORTS = st.lists(st.builds(ServicePort, PORT_NAME, NUMBER, NUMBER, PROTOCOL, TEXT), max_size=3)
ENDPOINTS = st.lists(
    st.builds(
        Endpoint, ADDRESS, FLAG, FLAG, FLAG, SOME_NAME, SOME_NAME, SOME_NAME, SOME_NAME, SOME_NAME
    ),
    max_size=5,
)
LABELS = st.dictionaries(st.just("color"), st.sampled_from(["blue", "green", "Not A Name", ""]))


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    return slice_(
        *draw(ENDPOINTS),
        name=draw(SOME_NAME),
        owner_uid=draw(st.sampled_from(["service-uid", "", "x"])),
        labels=draw(LABELS),
        address_type=draw(st.sampled_from(["IPv4", "IPv6", "FQDN", ""])),
        ports=tuple(
            draw(st.lists(st.builds(SlicePort, PORT_NAME, NUMBER, PROTOCOL, TEXT), max_size=2))
        ),
    )


PATHS = st.builds(
    IngressPath,
    TEXT,
    st.sampled_from(["Exact", "Prefix", "ImplementationSpecific", ""]),
    st.builds(Backend, st.sampled_from(["cart", "pay", ""]), PORT_NAME, NUMBER),
)
RULES = st.builds(
    IngressRule,
    st.sampled_from(["a.example", "b.example", "*.a.example", ""]) | TEXT,
    st.lists(PATHS, max_size=3).map(tuple),
)


@st.composite
def ingresses(draw: st.DrawFn) -> Ingress:
    return ingress(
        *draw(st.lists(RULES, max_size=3)),
        name=draw(SOME_NAME),
        created=draw(st.sampled_from(["", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"])),
        annotations=draw(ANNOTATIONS),
        default_backend=draw(st.none() | st.builds(Backend, st.just("cart"), PORT_NAME, NUMBER)),
    )


@st.composite
def services(draw: st.DrawFn) -> Service:
    fields: dict[str, Any] = {
        "namespace": draw(st.just("shop") | st.text(st.characters(codec=None), max_size=5)),
        "annotations": draw(ANNOTATIONS),
        "type": draw(
            st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName", ""])
        ),
        "ports": tuple(draw(PORTS)),
        "cluster_ips": tuple(draw(st.lists(ADDRESS | st.just("None"), max_size=2))),
        "ip_families": tuple(draw(st.lists(st.sampled_from(["IPv4", "IPv6", "x"]), max_size=2))),
        "external_name": draw(TEXT),
        "external_traffic_policy": draw(st.sampled_from(["Local", "Cluster", ""])),
        "health_check_node_port": draw(NUMBER),
        "session_affinity": draw(st.sampled_from(["None", "ClientIP"])),
        "load_balancer": tuple(draw(st.lists(ADDRESS, max_size=3))),
    }
    return service(**fields)


NODES = st.lists(
    st.builds(
        lambda name, addresses, labels: Node(
            namespace="", name=name, uid="u", labels=labels, addresses=tuple(addresses), taints=(),
            deleting=False,
        ),
        SOME_NAME,
        st.lists(st.builds(NodeAddress, st.sampled_from(["InternalIP", "ExternalIP"]), ADDRESS)),
        LABELS,
    ),
    max_size=3,
)  # fmt: skip
OPTIONS = st.builds(
    usual_options,
    address_mode=st.sampled_from(["pod", "nodeport", "clusterip", "external-name", "lb-status"]),
    ip_family=st.sampled_from(["auto", "both", "v4", "v6"]),
    external_names=st.sampled_from(["annotated", "always", "never", "claimed"]),
)


def check(found: Translation) -> None:
    """Every record is one that agents will read back as it is; else somebody is told why."""
    assert (found.refusal is None) == any(key.startswith("services/") for key in found.records)
    assert list(found.records) == sorted(found.records)
    for key, record in found.records.items():
        parsed = parse_key(key)
        assert parsed is not None
        assert decode(key, parsed, encode(record)) == record
        assert found.owns(key)
    told: list[Notice | Refusal] = [*found.notices]
    told += [found.refusal] if found.refusal else []
    for one in told:
        for part in (one.object, one.reason, one.cure):
            assert part.encode() != b""
            assert not set(part) & set("\n\r\t\0")


@given(ANNOTATIONS, st.sampled_from(["pod", "nodeport", "clusterip"]))
@example({"lbsync.io/check": "[" * 100_000}, "pod")
@example({"lbsync.io/hosts": "a.example", "lbsync.io/owner": "x" * 5000}, "pod")
@settings(max_examples=400)
def test_any_annotations_give_accepted_records_or_a_refusal(
    annotations: dict[str, str], mode: Any
) -> None:
    found = translate(
        service(annotations=annotations),
        [slice_(endpoint("10.1.0.1", "cart-0"))],
        node_pool([], usual_options()),
        ingresses=[ingress(rule("a.example", "/x"), rule("b.example", "/y"))],
        options=usual_options(address_mode=mode),
        pod_labels={"cart-0": {"color": "blue"}},
    )
    check(found)


@given(
    services(), st.lists(slices(), max_size=3), NODES, st.lists(ingresses(), max_size=2), OPTIONS
)
@settings(max_examples=250)
def test_any_objects_do_in_whatever_order_they_come(
    found: Service,
    its_slices: list[EndpointSlice],
    nodes: list[Node],
    its_ingresses: list[Ingress],
    options: Options,
) -> None:
    pool = node_pool(nodes, options)
    pods = {"cart-0": {"color": "blue"}}
    first = translate(
        found, its_slices, pool, ingresses=its_ingresses, options=options, pod_labels=pods
    )
    check(first)
    for each in its_ingresses:
        is_ours(each, our_classes([], options))
        for notice in inspect_ingress(each, lambda ns, name: name == "cart"):
            assert notice.object.startswith("Ingress ")
    again = translate(
        found,
        reversed(its_slices),
        node_pool(reversed(nodes), options),
        ingresses=reversed(its_ingresses),
        options=options,
        pod_labels=pods,
    )
    if (
        len({s.name for s in its_slices}) == len(its_slices)
        and len({(i.created, i.name) for i in its_ingresses}) == len(its_ingresses)
        and len({n.name for n in nodes}) == len(nodes)
    ):
        assert again == first
