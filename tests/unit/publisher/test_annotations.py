"""Annotations: what a Service says of itself, in lbsync's own words and in those of others."""

import re
from typing import Any

import msgspec
import pytest

from lbsync.model.records import ServiceRecord
from lbsync.publisher.translate import NodePool, Translation
from lbsync.publisher.translate.fields import FIELDS
from lbsync.publisher.translate.vendors.aliases import Vendor
from lbsync.publisher.translate.vendors.tables import HAPROXY_INGRESS, HAPROXY_TECHNOLOGIES, VENDORS
from lbsync.schema.decode import encode
from tests.kube_objects import ingress, rule, service
from tests.publishing import translate


def run(annotations: dict[str, str], **fields: Any) -> Translation:
    annotations = {"lbsync.io/hosts": "cart.example", **annotations}
    return translate(service(annotations=annotations, **fields), [], NodePool())


def own(**annotations: str) -> dict[str, str]:
    return {f"lbsync.io/{name.replace('_', '-')}": text for name, text in annotations.items()}


def record(found: Translation) -> ServiceRecord:
    assert found.refusal is None
    stored = found.records["services/shop/cart"]
    assert isinstance(stored, ServiceRecord)
    return stored


def value(found: Translation) -> str:
    """The record as it is stored, without what every record of these tests has."""
    text = encode(record(found)).decode().removesuffix(',"source":"kubernetes"}') + "}"
    return text.replace('"mode":"http","hosts":["cart.example"],', "").replace(
        '"mode":"http","hosts":["cart.example"]', ""
    )


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, "{}"),
        (
            own(hosts="a.example, *.b.example,"),
            '{"mode":"http","hosts":["a.example","*.b.example"]}',
        ),
        (own(hosts='["A.example"]'), '{"mode":"http","hosts":["a.example"]}'),
        (own(paths="/a\n/b/"), '{"paths":["/a","/b"]}'),
        (own(balance="leastconn\n"), '{"balance":"leastconn"}'),
        (own(maxconn="100"), '{"maxconn":100}'),
        (own(owner="team shop, floor 3"), '{"owner":"team shop, floor 3"}'),
        (own(check_path="/up", check_rise="5"), '{"check":{"path":"/up","rise":5}}'),
        (own(check='{"path":"/up"}', check_rise="5"), '{"check":{"path":"/up","rise":5}}'),
        (own(timeout_server="90s"), '{"timeouts":{"server":"90s"}}'),
        (own(sticky_cookie="SID"), '{"sticky":{"cookie":"SID"}}'),
        (own(redirect_https="True", redirect_code="301"), '{"redirect":{"https":true,"code":301}}'),
        (own(compression="true"), '{"compression":true}'),
        (own(compression_types="text/css,text/html"), None),
        (own(compression='{"types":["text/css"]}'), '{"compression":{"types":["text/css"]}}'),
        (
            own(headers_request_set="X-A: b\nX-C: d:e", headers_response_del="Server"),
            '{"headers":{"request":{"set":{"X-A":"b","X-C":"d:e"}},"response":{"del":["Server"]}}}',
        ),
        (
            own(headers='{"request":{"add":{"X-A":"b"}}}', headers_request_add='{"X-B":"c"}'),
            '{"headers":{"request":{"add":{"X-B":"c"}}}}',
        ),
    ],
)
def test_an_annotation_sets_its_field(annotations: dict[str, str], expected: str | None) -> None:
    expected = expected or '{"compression":{"types":["text/css","text/html"]}}'
    assert value(run(annotations)) == expected


def test_a_tcp_service_has_a_port_instead_of_hosts() -> None:
    found = translate(service(annotations=own(mode="tcp", listen="5432")), [], NodePool())
    assert (record(found).mode, record(found).listen, found.notices) == ("tcp", 5432, ())


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (own(hosts="a b"), "annotation lbsync.io/hosts: 'a b' is no host name"),
        (own(hosts="[1]"), "annotation lbsync.io/hosts: a host is a string, not int"),
        (own(hosts="["), "annotation lbsync.io/hosts: '[': it is no JSON"),
        (own(check_interval="2"), "annotation lbsync.io/check-interval: '2' is no duration"),
        (own(check='{"interval":"2"}'), "annotation lbsync.io/check (interval): '2' is no"),
        (own(check='{"pth":"/"}'), "lbsync.io/check (pth): no such field; did you mean path?"),
        (own(check="/up"), "annotation lbsync.io/check: '/up': it is no JSON"),
        (own(check_rise="many"), "annotation lbsync.io/check-rise: 'many': it is no whole number"),
        (
            own(maxconn="0"),
            "annotation lbsync.io/maxconn: it is out of range: write a whole number from 1",
        ),
        (own(maxconn="1" + "0" * 400), "annotation lbsync.io/maxconn: '1000"),
        (own(redirect_https="maybe"), "'maybe': it is neither true nor false"),
        (
            own(balance="best"),
            "annotation lbsync.io/balance: 'best' is no choice: write first, leastconn",
        ),
        (own(mode="udp"), "annotation lbsync.io/mode: 'udp' is no choice: write http or tcp"),
        (own(mode="tcp"), "annotation lbsync.io/hosts: only an http service has this"),
        (own(mode="tcp", hosts=""), "annotation lbsync.io/listen: a tcp service needs the port"),
        (own(listen="80"), "annotation lbsync.io/listen: only a tcp service has a port of its own"),
        (own(headers_request_set="nothing"), "a line of it has no colon"),
        (
            own(headers_request_set="X A: b"),
            "annotation lbsync.io/headers-request-set: 'X A' is no",
        ),
        (own(owner=""), "annotation lbsync.io/owner: it is empty"),
        (own(owner="\ud800"), "annotation 'lbsync.io/owner' is no text in UTF-8"),
        (own(check_type="tcp", check_path="/"), "check-path: only a check of type http has these"),
        (
            {"haproxy.org/check-http": "GET /", "lbsync.io/check-type": "tcp"},
            "annotation haproxy.org/check-http: only a check of type http has these",
        ),
        (
            {"haproxy.org/timeout-server": "soon"},
            "annotation haproxy.org/timeout-server: 'soon' is",
        ),
        (
            {"haproxy.org/allow-list": "patterns/ips"},
            "annotation haproxy.org/allow-list: 'patterns/ips': files of patterns are not read",
        ),
        (
            {"haproxy.org/cors-enable": "true", "haproxy.org/cors-max-age": "long"},
            "annotation haproxy.org/cors-max-age: 'long' is no age",
        ),
        (
            {"haproxy.org/cors-enable": "true", "haproxy.org/cors-allow-credentials": "true"},
            "annotation haproxy.org/cors-allow-credentials: browsers refuse them for origin *",
        ),
        ({"haproxy-ingress.github.io/rewrite-target": "new"}, "it is no path: it begins with /"),
        ({"haproxy.org/ssl-redirect": "maybe"}, "annotation haproxy.org/ssl-redirect: 'maybe': it"),
    ],
)
def test_a_value_that_cannot_be_meant_refuses_the_service_and_names_the_annotation(
    annotations: dict[str, str], said: str
) -> None:
    found = run(annotations)
    assert said in str(found.refusal)
    assert not any(key.startswith("services/") for key in found.records)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (
            own(chek_path="/"),
            "no annotation 'lbsync.io/chek-path'; did you mean lbsync.io/check-path?",
        ),
        (own(zzzzzz="/"), "there is no annotation 'lbsync.io/zzzzzz'; take it out"),
        (own(publish="true"), "lbsync.io/publish is a label, not an annotation"),
        ({"haproxy.org/chek": "x"}, "annotation 'haproxy.org/chek' is not known"),
        ({"haproxy.org/load-balance": "hdr(Host)"}, "balancing by 'hdr(Host)' is not offered"),
        ({"haproxy.org/route-acl": "rand(100) lt 25"}, "write the weights into the key routes/"),
        ({"haproxy-ingress.github.io/affinity": "ip"}, "cookie is the one affinity there is"),
        (
            {"haproxy-ingress.github.io/session-cookie-name": "S"},
            "what it is a part of is not switched on",
        ),
        (
            {"haproxy.org/timeout-server": "9s", "haproxy.com/timeout-server": "8s"},
            "haproxy.com/timeout-server differs from haproxy.org/timeout-server, which counts",
        ),
        (
            {"haproxy-ingress.github.io/timeout-server": "9s", "haproxy.org/timeout-server": "8s"},
            "haproxy.org/timeout-server differs from haproxy-ingress.github.io/timeout-server",
        ),
        ({"haproxy.org/request-set-header": "X-A %[src]"}, "expressions in a header's value"),
    ],
)
def test_what_has_no_effect_is_reported_and_the_service_published(
    annotations: dict[str, str], said: str
) -> None:
    found = run(annotations)
    assert any(said in str(notice) for notice in found.notices)
    assert record(found).mode == "http"


HI, OLD_HI = HAPROXY_INGRESS.prefixes
KI, OLD_KI = HAPROXY_TECHNOLOGIES.prefixes


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({HI + "balance-algorithm": "random(2)"}, '{"balance":"random"}'),
        ({OLD_HI + "balance-algorithm": "source"}, '{"balance":"source"}'),
        ({HI + "affinity": "cookie"}, '{"sticky":{"cookie":"INGRESSCOOKIE"}}'),
        (
            {HI + "affinity": "cookie", OLD_HI + "session-cookie-name": "SID"},
            '{"sticky":{"cookie":"SID"}}',
        ),
        (
            {HI + "health-check-uri": "/up", HI + "health-check-interval": "5s"},
            '{"check":{"path":"/up","interval":"5s"}}',
        ),
        ({HI + "health-check-rise-count": "7", HI + "health-check-port": "81"}, None),
        ({HI + "ssl-redirect": "false"}, '{"redirect":{"https":false}}'),
        ({HI + "timeout-tunnel": "1h"}, '{"timeouts":{"tunnel":"1h"}}'),
        ({HI + "maxconn-server": "500"}, '{"maxconn":500}'),
        ({HI + "headers": "X-A: b"}, '{"headers":{"request":{"set":{"X-A":"b"}}}}'),
        ({HI + "backend-protocol": "h1"}, "{}"),
        ({KI + "load-balance": "leastconn"}, '{"balance":"leastconn"}'),
        ({OLD_KI + "load-balance": "leastconn"}, '{"balance":"leastconn"}'),
        ({KI + "cookie-persistence": "SRV"}, '{"sticky":{"cookie":"SRV"}}'),
        ({KI + "check": "false"}, '{"check":{"type":"none"}}'),
        ({KI + "check": "false", KI + "check-http": "/x"}, '{"check":{"type":"none"}}'),
        ({KI + "check-http": "/x"}, '{"check":{"type":"http","path":"/x"}}'),
        (
            {KI + "check": "true", KI + "check-http": "HEAD /x HTTP/1.1"},
            '{"check":{"type":"http","path":"/x","method":"HEAD"}}',
        ),
        ({KI + "timeout-server": "30000"}, '{"timeouts":{"server":"30s"}}'),
        (
            {KI + "response-set-header": 'Cache-Control "no-store,private"\nX-B c'},
            '{"headers":{"response":{"set":{"Cache-Control":"no-store,private","X-B":"c"}}}}',
        ),
        ({KI + "set-host": "in.example"}, '{"headers":{"request":{"set":{"Host":"in.example"}}}}'),
        ({HI + "hsts": "true"}, '{"hsts":true}'),
        ({HI + "hsts": "false", HI + "hsts-max-age": "5"}, "{}"),
        (
            {HI + "hsts": "true", HI + "hsts-max-age": "15768000", HI + "hsts-preload": "false"},
            '{"hsts":{"max_age":"4380h"}}',
        ),
        ({KI + "cors-enable": "true"}, '{"cors":{"origins":["*"]}}'),
        ({KI + "cors-enable": "false", KI + "cors-max-age": "5m"}, "{}"),
        (
            {
                HI + "cors-enable": "true",
                HI + "cors-allow-origin": "https://a.example,https://*.b.example",
                HI + "cors-allow-methods": "GET, PUT",
                HI + "cors-allow-headers": "X-A",
                HI + "cors-allow-credentials": "true",
                HI + "cors-max-age": "60",
                HI + "cors-expose-headers": "X-B",
            },
            '{"cors":{"origins":["https://a.example","https://*.b.example"],"methods":["GET","PUT"],'
            '"headers":["X-A"],"expose":["X-B"],"credentials":true,"max_age":"1m"}}',
        ),
        (
            {KI + "cors-enable": "true", KI + "cors-allow-origin": "^https://.*$"},
            "{}",
        ),
        ({KI + "allow-list": "10.0.0.0/8, 192.0.2.7"}, None),
        ({KI + "deny-list": "10.0.0.0/8"}, '{"deny":["10.0.0.0/8"]}'),
        ({HI + "whitelist-source-range": "10.0.0.0/8"}, '{"allow":["10.0.0.0/8"]}'),
        (
            {KI + "rate-limit-requests": "15", KI + "rate-limit-period": "10s"},
            '{"rate_limit":{"requests":15,"period":"10s","status":403}}',
        ),
        (
            {KI + "rate-limit-requests": "15", KI + "rate-limit-status-code": "503"},
            '{"rate_limit":{"requests":15,"period":"1s","status":503}}',
        ),
        (
            {HI + "limit-rps": "15", HI + "limit-whitelist": "10.0.0.0/8"},
            '{"rate_limit":{"requests":15,"period":"1s","exempt":["10.0.0.0/8"]}}',
        ),
        (
            {KI + "path-rewrite": "/foo/(.*) /\\1"},
            '{"rewrite":{"pattern":"/foo/(.*)","replacement":"/\\\\1"}}',
        ),
        ({KI + "path-rewrite": "/"}, '{"rewrite":{"pattern":".*","replacement":"/"}}'),
        ({HI + "rewrite-target": "/"}, "{}"),
        ({HI + "rewrite-target": "/new"}, '{"rewrite":{"prefix":"/new"}}'),
        ({KI + "server-ssl": "true"}, '{"backend_tls":{"verify":"none"}}'),
        (
            {KI + "server-ssl": "true", KI + "server-proto": "h2"},
            '{"backend_tls":{"verify":"none","h2":true}}',
        ),
        ({HI + "backend-protocol": "h2-ssl"}, '{"backend_tls":{"verify":"none","h2":true}}'),
        (
            {HI + "affinity": "cookie", HI + "session-cookie-same-site": "true"},
            '{"sticky":{"cookie":"INGRESSCOOKIE","secure":true,"same_site":"none"}}',
        ),
        ({KI + "pod-maxconn": "30", "lbsync.io/maxconn": "20"}, '{"maxconn":20}'),
        ({KI + "check-http": "/x", "lbsync.io/check-interval": "9s"}, None),
    ],
)
def test_annotations_of_other_controllers_set_fields_and_own_ones_win(
    annotations: dict[str, str], expected: str | None
) -> None:
    if KI + "allow-list" in annotations:
        expected = '{"allow":["10.0.0.0/8","192.0.2.7/32"]}'
    if expected is None:
        own_interval = '{"check":{"type":"http","path":"/x","interval":"9s"}}'
        expected = (
            own_interval if KI + "check-http" in annotations else '{"check":{"rise":7,"port":81}}'
        )
    found = run(annotations)
    assert value(found) == expected


def test_service_upstream_sends_requests_to_the_services_own_address() -> None:
    upstream = {HI + "service-upstream": "true"}
    assert run(upstream, type="ClusterIP").refusal is None
    assert run(upstream | own(address_mode="nodeport"), type="ClusterIP").refusal is not None


def test_a_rewrite_target_replaces_whichever_path_of_the_record_matched() -> None:
    target = {HI + "rewrite-target": "/new"}
    web = ingress(rule("a.example", "/x", "/"), rule("b.example", "/y"))
    found = translate(service(annotations=target), [], NodePool(), ingresses=[web])
    rewrites = {
        key: (stored.rewrite.strip, stored.rewrite.prefix)
        for key, stored in found.records.items()
        if isinstance(stored, ServiceRecord) and stored.rewrite is not msgspec.UNSET
    }
    assert rewrites == {
        "services/shop/cart": (("/x",), "/new"),
        "services/shop/cart.2": (("/y",), "/new"),
    }
    own_one = target | own(rewrite_prefix="/own")
    assert value(run(own_one)) == '{"rewrite":{"prefix":"/own"}}'


def test_a_tcp_port_of_another_controller_makes_a_tcp_service() -> None:
    annotations = {HI + "tcp-service-port": "5432"}
    found = record(translate(service(annotations=annotations), [], NodePool()))
    assert (found.mode, found.listen) == ("tcp", 5432)


def every_alias() -> list[tuple[Vendor, str]]:
    return [
        (vendor, name)
        for vendor in VENDORS
        for table in (vendor.given, vendor.lacking)
        for name in table
    ]


@pytest.mark.parametrize(("vendor", "name"), every_alias(), ids=lambda part: str(part)[:40])
def test_no_known_annotation_is_passed_over_in_silence(vendor: Vendor, name: str) -> None:
    """It sets something, or a notice or refusal names it."""
    without = run({})
    for prefix in vendor.prefixes:
        found = run({prefix + name: "strange"})
        named = [n for n in (*found.notices, found.refusal) if n and prefix + name in n.reason]
        assert named or found.records != without.records


def test_every_alias_stands_in_one_table_only() -> None:
    for vendor in VENDORS:
        assert not vendor.given.keys() & vendor.lacking.keys()
        assert vendor.protecting <= vendor.lacking.keys()


PROTECTION = [v.prefixes[0] + name for v in VENDORS for name in sorted(v.protecting)]


@pytest.mark.parametrize("annotation", PROTECTION)
def test_protection_that_cannot_be_given_refuses_the_service_unless_accepted(
    annotation: str,
) -> None:
    found = run({annotation: "shop/secret"})
    assert f"annotation {annotation} protects" in str(found.refusal)
    accepted = run({annotation: "shop/secret", "lbsync.io/accept-unprotected": "true"})
    assert accepted.refusal is None
    assert annotation in accepted.notices[0].reason


def test_passwords_are_not_repeated_in_what_the_owner_is_told() -> None:
    for text in ("admin $6$secret", "admin: $6$secret", '{"admin": "$6$secret"', '["$6$secret"]'):
        for name in ("auth", "auth-users"):
            found = run({f"lbsync.io/{name}": text})
            assert f"annotation lbsync.io/{name}" in str(found.refusal)
            assert "secret" not in str(found.refusal)


def test_every_field_that_is_no_bookkeeping_has_an_annotation() -> None:
    names = {path[0] for path in (field.path for field in FIELDS.values())}
    assert names == {f.replace("del_", "del") for f in ServiceRecord.__struct_fields__} - {"source"}


class TestOnIngresses:
    def run(self, *annotations: dict[str, str], **on_service: str) -> Translation:
        ingresses = [
            ingress(rule(f"{i}.example", "/"), name=f"i{i}", annotations=notes,
                    created=f"2026-01-0{9 - i}T00:00:00Z")
            for i, notes in enumerate(annotations, 1)
        ]  # fmt: skip
        return translate(
            service(annotations=own(**on_service)), [], NodePool(), ingresses=ingresses
        )

    def test_an_ingress_speaks_for_its_services_and_the_service_wins(self) -> None:
        found = self.run({KI + "load-balance": "source", KI + "timeout-server": "9s"},
                         balance="first")  # fmt: skip
        assert record(found).balance == "first"
        assert str(record(found).timeouts.server) == "9s"

    def test_of_two_ingresses_the_older_one_counts_and_the_other_is_told(self) -> None:
        found = self.run({KI + "load-balance": "source"}, {KI + "load-balance": "first"})
        assert record(found).balance == "first"
        assert [n.object for n in found.notices] == ["Ingress shop/i1"]
        assert "differs from haproxy.org/load-balance of Ingress shop/i2" in found.notices[0].reason

    def test_a_wrong_value_is_refused_with_the_ingress_named(self) -> None:
        found = self.run({KI + "timeout-server": "soon"})
        assert "haproxy.org/timeout-server of Ingress shop/i1: 'soon' is" in str(found.refusal)

    def test_what_belongs_on_a_service_is_reported(self) -> None:
        found = self.run({"lbsync.io/hosts": "evil.example"})
        assert record(found).hosts == ("1.example",)
        assert "annotation lbsync.io/hosts has no effect on an Ingress" in found.notices[0].reason


def test_foreign_annotations_are_none_of_our_business() -> None:
    found = run({"kubectl.kubernetes.io/x": "y", "example.com/hosts": "z"})
    assert found.notices == ()


def test_many_warnings_end_somewhere() -> None:
    found = run({f"lbsync.io/strange-{i}": "" for i in range(200)})
    assert len(found.notices) == 51
    assert re.search(r"there are 1\d\d more warnings", str(found.notices))
