"""Ingresses: which are ours, and how their rules become hosts and paths."""

from typing import Any

import pytest

from lbsync.kube_objects import (
    Backend,
    Ingress,
    IngressClass,
    IngressPath,
    IngressRule,
    ServicePort,
)
from lbsync.model.records import EndpointsRecord, ServiceRecord
from lbsync.publisher.translate import (
    NodePool,
    Translation,
    inspect_ingress,
    is_ours,
    our_classes,
)
from tests.kube_objects import HTTP, endpoint, ingress, rule, service, slice_
from tests.publishing import translate, usual_options

EVERY_HOST = {"lbsync.io/hosts": "*"}
ADMIN = ServicePort("admin", 8081, 30081, "TCP", "")


def run(
    *ingresses: Ingress, annotations: dict[str, str] | None = None, **fields: Any
) -> Translation:
    return translate(
        service(annotations=annotations or {}, **fields), [], NodePool(), ingresses=ingresses
    )


def claims(found: Translation) -> dict[str, str]:
    """Hosts and paths of every record, by the record's name."""
    assert found.refusal is None
    return {
        key.rpartition("/")[2]: f"{','.join(record.hosts)} {','.join(record.paths)}".strip()
        for key, record in found.records.items()
        if isinstance(record, ServiceRecord)
    }


def test_the_rules_that_lead_to_a_service_become_its_hosts_and_paths() -> None:
    web = ingress(
        rule("shop.example", "/cart", "/basket/"),
        rule("other.example", "/", to="other"),
        rule("*.shop.example", "/cart", "/basket"),
    )
    assert claims(run(web)) == {"cart": "*.shop.example,shop.example /basket,/cart"}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("a.example", "/")], {"cart": "a.example"}),
        ([rule("a.example", "")], {"cart": "a.example"}),
        ([rule("a.example", "/", "/x")], {"cart": "a.example /,/x"}),
        (
            [rule("a.example", "/x"), rule("b.example", "/y")],
            {"cart": "a.example /x", "cart.2": "b.example /y"},
        ),
        (
            [rule("a.example", "/x", "/y"), rule("b.example", "/y"), rule("c.example", "/y", "/x")],
            {"cart": "a.example,c.example /x,/y", "cart.2": "b.example /y"},
        ),
        ([rule("a.example", "/x"), rule("a.example", "/y")], {"cart": "a.example /x,/y"}),
    ],
)
def test_hosts_never_get_paths_that_were_said_of_other_hosts(
    rules: list[IngressRule], expected: dict[str, str]
) -> None:
    assert claims(run(ingress(*rules))) == expected


def test_every_further_record_has_the_servers_and_policy_of_its_service() -> None:
    web = ingress(rule("a.example", "/x"), rule("b.example", "/y"))
    notes = {"lbsync.io/address-mode": "pod", "lbsync.io/balance": "first"}
    found = translate(service(annotations=notes), [slice_(endpoint("10.1.0.1", "a"))], NodePool(),
                      ingresses=[web])  # fmt: skip
    assert list(found.records) == [
        "endpoints/shop/cart.2/default",
        "endpoints/shop/cart/default",
        "services/shop/cart",
        "services/shop/cart.2",
    ]
    second = found.records["services/shop/cart.2"]
    assert isinstance(second, ServiceRecord)
    assert second.balance == "first"
    assert (
        found.records["endpoints/shop/cart.2/default"]
        == found.records["endpoints/shop/cart/default"]
    )


def test_an_older_ingress_keeps_the_name_when_a_newer_one_comes() -> None:
    old = ingress(rule("z.example", "/z"), name="z")
    new = ingress(rule("a.example", "/a"), name="a", created="2026-03-01T00:00:00Z")
    expected = {"cart": "z.example /z", "cart.2": "a.example /a"}
    assert claims(run(new, old)) == expected
    assert run(new, old) == run(old, new)


def test_a_further_port_is_a_record_with_that_ports_servers() -> None:
    web = ingress(rule("a.example", "/"), rule("admin.example", "/", port=8081))
    notes = {"lbsync.io/address-mode": "pod"}
    from_slice = slice_(endpoint("10.1.0.1", "a"))
    found = translate(service(annotations=notes, ports=(HTTP, ADMIN)), [from_slice], NodePool(),
                      ingresses=[web])  # fmt: skip
    assert claims(found) == {"cart": "a.example", "cart.p8081": "admin.example"}
    admin = found.records["endpoints/shop/cart.p8081/default"]
    assert isinstance(admin, EndpointsRecord)
    assert admin.servers == ()  # the slice has no port of that name
    chosen = run(web, annotations={"lbsync.io/port": "admin"}, ports=(HTTP, ADMIN))
    assert claims(chosen) == {"cart": "admin.example", "cart.p80": "a.example"}


def test_one_port_of_several_needs_no_annotation_when_the_ingress_names_it() -> None:
    assert claims(run(ingress(rule("a.example", "/", port="admin")), ports=(HTTP, ADMIN))) == {
        "cart": "a.example"
    }


def test_the_same_host_and_path_with_two_ports_belongs_to_the_first() -> None:
    old = ingress(rule("a.example", "/"))
    new = ingress(rule("a.example", "/", port=8081), name="new", created="2026-04-01T00:00:00Z")
    found = run(new, old, ports=(HTTP, ADMIN))
    assert claims(found) == {"cart": "a.example"}
    assert found.notices[0].object == "Ingress shop/new"
    assert "leads to another port in Ingress shop/web, which counts" in found.notices[0].reason


def test_the_default_backend_takes_what_no_path_takes() -> None:
    backend = Backend("cart", "http", 0)
    bare = ingress(IngressRule("a.example", ()), default_backend=backend, annotations=EVERY_HOST)
    assert claims(run(bare)) == {"cart": "*,a.example"}


def test_exact_paths_become_prefixes_and_the_owner_is_told() -> None:
    backend = Backend("cart", "http", 0)
    exact = IngressRule("a.example", (IngressPath("/x", "Exact", backend),))
    found = run(ingress(exact))
    assert claims(found) == {"cart": "a.example /x"}
    assert [n.object for n in found.notices] == ["Ingress shop/web"]
    assert "path '/x' of type Exact is served as a prefix" in found.notices[0].reason


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (rule("a.example", "/x y"), "'/x y' is no path"),
        (rule("a b", "/"), "'a b' is no host name"),
        (rule("a.example", "/", port="grpc"), "names port 'grpc', which the Service does not have"),
    ],
)
def test_a_rule_that_cannot_be_served_is_left_out_but_never_opens_every_host(
    bad: IngressRule, said: str
) -> None:
    beside = run(ingress(bad, rule("good.example", "/")))
    assert claims(beside) == {"cart": "good.example"}
    assert said in str(beside.notices[0])
    alone = run(ingress(bad))
    assert "without hosts it would take every request" in str(alone.refusal)
    assert said in str(alone.notices[0])


def test_hosts_of_the_service_itself_count_before_ingresses() -> None:
    found = run(ingress(rule("a.example", "/")), annotations={"lbsync.io/hosts": "own.example"})
    assert claims(found) == {"cart": "own.example"}
    assert "are not used: annotation lbsync.io/hosts says it" in found.notices[0].reason
    assert found.notices[0].object == "Ingress shop/web"
    tcp = {"lbsync.io/mode": "tcp", "lbsync.io/listen": "5432"}
    assert (
        "tcp service has no hosts"
        in run(ingress(rule("a", "/")), annotations=tcp).notices[0].reason
    )


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"lbsync.io/hosts": ""},
        {"lbsync.io/hosts": "[]"},
        {"lbsync.io/hosts": " ,\n"},
        {"lbsync.io/paths": "/admin"},
        {"lbsync.io/mode": "http"},
        {"lbsync.io/publish": "true", "lbsync.io/allow": "10.0.0.0/8"},
    ],
)
def test_a_service_takes_every_host_only_when_it_says_so(annotations: dict[str, str]) -> None:
    refused = run(annotations=annotations)
    assert not [key for key in refused.records if key.startswith("services/")]
    assert refused.refusal is not None
    assert claims(run(annotations=EVERY_HOST)) == {"cart": "*"}


def test_a_service_without_hosts_is_told_what_to_write() -> None:
    said = str(run().refusal)
    assert "nothing names its hosts" in said
    assert 'write annotation lbsync.io/hosts (with "*" if every host is meant)' in said


def test_paths_of_the_service_do_not_stand_for_the_hosts_of_its_ingress() -> None:
    found = run(ingress(rule("a.example", "/")), annotations={"lbsync.io/paths": "/x"})
    assert "nothing names its hosts" in str(found.refusal)


def test_a_rule_without_host_takes_every_host_only_when_its_ingress_says_so() -> None:
    lost = ingress(rule("", "/"), rule("a.example", "/"))
    assert claims(run(lost)) == {"cart": "a.example"}
    assert "it would take every host" in str(run(lost).notices[0])
    assert "without hosts it would take every request" in str(run(ingress(rule("", "/"))).refusal)
    said = ingress(rule("", "/x"), annotations=EVERY_HOST)
    assert claims(run(said)) == {"cart": "* /x"}
    assert run(said).notices == ()


def test_a_default_backend_takes_every_host_only_when_its_ingress_says_so() -> None:
    backend = Backend("cart", "http", 0)
    assert run(ingress(default_backend=backend)).refusal is not None
    named = run(ingress(IngressRule("a.example", ()), default_backend=backend))
    assert claims(named) == {"cart": "a.example"}


def test_ingresses_of_other_namespaces_and_services_are_not_read() -> None:
    elsewhere = ingress(rule("a.example", "/"), namespace="other")
    other = ingress(rule("b.example", "/", to="pay"))
    going = ingress(rule("c.example", "/"), deleting=True)
    assert "nothing names its hosts" in str(run(elsewhere, other, going).refusal)


def test_too_many_hosts_are_refused_with_the_ingress_named() -> None:
    many = ingress(*(rule(f"h{i}.example", "/") for i in range(1001)))
    assert "Ingress shop/web: it has too many entries: at most 1000" in str(run(many).refusal)


def test_a_name_without_room_for_a_further_record_is_refused() -> None:
    long = "c" * 63
    web = ingress(rule("a.example", "/x", to=long), rule("b.example", "/y", to=long))
    found = translate(service(long), [], NodePool(), ingresses=[web])
    assert "that name is too long" in str(found.refusal)


def klass(
    name: str, controller: str = "", *, default: bool = False, parameters: str = ""
) -> IngressClass:
    return IngressClass(
        namespace="",
        name=name,
        uid="u",
        controller=controller,
        is_default=default,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    ("classes", "fields", "ours"),
    [
        ([], {}, True),
        ([], {"class_name": "nginx"}, False),
        ([], {"class_name": ""}, False),
        ([klass("edge", "lbsync.io/publisher")], {"class_name": "edge"}, True),
        ([klass("edge", "example.com/other")], {"class_name": "edge"}, False),
        ([klass("lbsync", default=True)], {"class_name": ""}, True),
        ([klass("nginx", default=True)], {"class_name": ""}, False),
        ([], {"class_name": "", "annotations": {"kubernetes.io/ingress.class": "lbsync"}}, True),
        ([], {"annotations": {"kubernetes.io/ingress.class": "nginx"}}, False),
        ([], {"deleting": True}, False),
    ],
)
def test_only_ingresses_of_our_class_are_ours(
    classes: list[IngressClass], fields: Any, *, ours: bool
) -> None:
    found = ingress(rule("a.example", "/"), **fields)
    assert is_ours(found, our_classes(classes, usual_options())) is ours


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ingress(rule("a", "/")), []),
        (ingress(rule("a", "/"), tls_hosts=("a",)), ["spec.tls is not read"]),
        (
            ingress(rule("a", "/", to="pay")),
            ["Service shop/pay is not published, and requests for its paths go to"],
        ),
        (ingress(rule("a", "/", to="")), ["a backend is no Service"]),
        (ingress(), ["it has no backend"]),
    ],
)
def test_an_ingress_as_a_whole_is_inspected(found: Ingress, said: list[str]) -> None:
    notices = inspect_ingress(found, lambda ns, name: (ns, name) == ("shop", "cart"))
    assert len(notices) == len(said)
    for notice, words in zip(notices, said, strict=True):
        assert words in notice.reason
        assert notice.object == "Ingress shop/web"


@pytest.mark.parametrize(
    ("classes", "fields", "told"),
    [
        ([klass("lbsync", parameters="ConfigMap edge")], {}, "ConfigMap edge"),
        ([klass("lbsync"), klass("other", parameters="ConfigMap edge")], {}, ""),
        (
            [klass("edge", "lbsync.io/publisher", default=True, parameters="ConfigMap edge")],
            {"class_name": ""},
            "ConfigMap edge",
        ),
        (
            [klass("edge", "lbsync.io/publisher", parameters="ConfigMap edge")],
            {"annotations": {"kubernetes.io/ingress.class": "edge"}},
            "ConfigMap edge",
        ),
    ],
)
def test_parameters_of_a_class_that_nobody_reads_are_told(
    classes: list[IngressClass], fields: Any, told: str
) -> None:
    found = ingress(rule("a.example", "/"), **fields)
    parameters = our_classes(classes, usual_options()).parameters_of(found)
    assert parameters == told
    notices = inspect_ingress(found, lambda *_: True, parameters)
    assert [bool(told) and told in notice.reason for notice in notices] == ([True] if told else [])


def typed(path: str, path_type: str = "ImplementationSpecific") -> Ingress:
    backend = Backend("cart", "http", 0)
    return ingress(IngressRule("a.example", (IngressPath(path, path_type, backend),)))


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("/foo/.*", "such as '/foo', which"),
        ("/foo/bar/*", "such as '/foo/bar', which"),
        ("/a/b.+", "such as '/a', which"),
        ("/shop$", "such as '/shop', which"),
        ("/(a)", "write the prefixes that are meant"),
        ("/*", "write the prefixes that are meant"),
    ],
)
def test_a_path_that_looks_like_a_pattern_is_warned_of_and_served_as_it_stands(
    path: str, cure: str
) -> None:
    found = run(typed(path))
    assert found.refusal is None
    (notice,) = found.notices
    assert "patterns in paths are not read" in notice.reason
    assert cure in notice.cure
    assert notice.object == "Ingress shop/web"


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        ("/foo/?(.*)", "such as '/foo', which"),
        ("/foo(/|$)(.*)", "such as '/foo', which"),
        ("/api/v[0-9]+/x", "such as '/api', which"),
        ("^/foo", "write the prefixes that are meant"),
    ],
)
def test_a_pattern_that_is_no_path_is_left_out_with_the_prefix_named(path: str, cure: str) -> None:
    found = run(typed(path))
    assert found.refusal is not None
    assert cure in found.notices[0].cure


@pytest.mark.parametrize(
    ("path", "path_type"),
    [
        ("/index.html", "ImplementationSpecific"),
        ("/c++/v1.0/~me/a-b_c;v=1", "ImplementationSpecific"),
        ("", "ImplementationSpecific"),
        ("/wiki/Foo_(bar)", "Prefix"),
    ],
)
def test_a_path_that_is_meant_as_it_stands_is_not_warned_of(path: str, path_type: str) -> None:
    assert run(typed(path, path_type)).notices == ()
