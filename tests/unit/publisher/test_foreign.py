"""Annotations of controllers that lbsync knows little of: what protects must not be lost in silence."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.model.records import ServiceRecord
from lbsync.publisher.translate import NodePool, Translation
from lbsync.schema.decode import encode
from tests.kube_objects import ingress, rule, service
from tests.publishing import translate

NGINX = "nginx.ingress.kubernetes.io/"
RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


def run(annotations: dict[str, str], **fields: Any) -> Translation:
    annotations = {"lbsync.io/hosts": "cart.example", **annotations}
    return translate(service(annotations=annotations, **fields), [], NodePool())


def record(found: Translation) -> ServiceRecord:
    assert found.refusal is None
    stored = found.records["services/shop/cart"]
    assert isinstance(stored, ServiceRecord)
    return stored


PROTECTING = {
    f"{NGINX}auth-type": "basic",
    f"{NGINX}auth-url": "https://auth.example/",
    f"{NGINX}auth-tls-secret": "shop/ca",
    f"{NGINX}limit-connections": "5",
    f"{NGINX}global-rate-limit": "5",
    f"{NGINX}enable-modsecurity": "true",
    f"{NGINX}proxy-ssl-verify": "on",
    f"{NGINX}configuration-snippet": "deny all;",
    f"{NGINX}server-snippet": "if ($http_x = '') { return 403; }",
    "nginx.org/basic-auth-secret": "users",
    "nginx.org/policies": "allow-office",
    "nginx.org/limit-req-rate": "5r/s",
    "nginx.com/jwt-key": "jwk",
    "appprotect.f5.com/app-protect-enable": "True",
    "traefik.ingress.kubernetes.io/router.middlewares": "shop-auth@kubernetescrd",
    "traefik.ingress.kubernetes.io/router.tls.options": "shop-mtls@kubernetescrd",
    "traefik.ingress.kubernetes.io/whitelist-source-range": "10.0.0.0/8",
    "alb.ingress.kubernetes.io/scheme": "internal",
    "alb.ingress.kubernetes.io/security-groups": "sg-1",
    "alb.ingress.kubernetes.io/wafv2-acl-arn": "arn:aws:wafv2:x",
    "alb.ingress.kubernetes.io/auth-type": "oidc",
    "alb.ingress.kubernetes.io/mutual-authentication": '[{"port": 443, "mode": "verify"}]',
    "alb.ingress.kubernetes.io/conditions.cart": '[{"field": "source-ip"}]',
    "service.beta.kubernetes.io/aws-load-balancer-internal": "true",
    "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
    "service.beta.kubernetes.io/aws-load-balancer-extra-security-groups": "sg-1",
    "service.beta.kubernetes.io/azure-load-balancer-internal": "true",
    "service.beta.kubernetes.io/azure-allowed-service-tags": "AzureCloud",
    "service.beta.kubernetes.io/do-loadbalancer-deny-rules": "ip:1.2.3.4",
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-acl-status": "on",
    "service.beta.kubernetes.io/linode-loadbalancer-firewall-id": "17",
    "networking.gke.io/load-balancer-type": "Internal",
    "cloud.google.com/load-balancer-type": "Internal",
    "cloud.google.com/backend-config": '{"default": "iap"}',
    "ingress.gcp.kubernetes.io/security-policy": "armor",
    "appgw.ingress.kubernetes.io/waf-policy-for-path": "/subscriptions/x",
    "appgw.ingress.kubernetes.io/use-private-ip": "true",
    "appgw.ingress.kubernetes.io/appgw-ssl-profile": "mtls",
    "appgw.ingress.kubernetes.io/appgw-trusted-root-certificate": "root",
    "konghq.com/plugins": "key-auth",
    "konghq.com/tls-verify": "true",
    "projectcontour.io/auth-server": "x",
    "projectcontour.io/ip-allow-policy": "10.0.0.0/8",
    "getambassador.io/config": "kind: Mapping\nbypass_auth: false\nauth_service: x",
    "haproxy.router.openshift.io/ip_whitelist": "10.0.0.0/8",
    "haproxy.router.openshift.io/ip_allowlist": "10.0.0.0/8",
    "haproxy.router.openshift.io/rate-limit-connections": "true",
    "service.cilium.io/src-ranges-policy": "deny",
    "zalando.org/skipper-filter": 'basicAuth("/etc/passwd")',
    "haproxy-ingress.github.io/limit-connections": "5",
    "haproxy-ingress.github.io/config-backend": "http-request deny if { src 192.0.2.1 }",
    "haproxy-ingress.github.io/auth-something-new": "yes",
    "haproxy.org/backend-config-snippet": "http-request tarpit if bad",
    "haproxy.org/client-crt-verify": "required",
    "ingress.corp.example/allowedSourceRanges": "10.0.0.0/8",
    "ingress.corp.example/whitelistSourceRange": "10.0.0.0/8",
    "my-gateway.example.com/jwt.provider": "x",
    "alb.ingress.kubernetes.io/inbound-cidrs": "10.0.0.0/8, ::/0",
    "alb.ingress.kubernetes.io/actions.login": '{"Type": "authenticate-oidc"}',
    "alb.ingress.kubernetes.io/actions.stop": '{"type": "fixed-response"}',
    "haproxy.org/route-acl": "hdr(x-team) -m found",
    "load-balancer.hetzner.cloud/disable-public-network": "true",
    "service.beta.kubernetes.io/do-loadbalancer-network": "INTERNAL",
    "service.beta.kubernetes.io/upcloud-load-balancer-config": '{"networks": [{"type": "private"}]}',
    "kubernetes.io/elb.acl-id": "x",
    "kubernetes.io/ingress.allow-http": "false",
    "kubernetes.civo.com/firewall-id": "x",
    "yawol.stackit.cloud/internalLB": "true",
    "virtual-server.f5.com/allowSourceRange": "10.0.0.0/8",
    "route.openshift.io/destination-ca-certificate-secret": "x",
    "ncp/whitelist-source-range": "10.0.0.0/8",
    "nobody.knows.example/ip-allowlist": "10.0.0.0/8",
    "whitelist-source-range": "10.0.0.0/8",
    "balancers.corp.example/lb-scheme": "internal",
    f"{NGINX}wallarm-mode": "block",
}

RAW = {
    f"{NGINX}configuration-snippet": [
        "deny all;", "internal;", "proxy_ssl_verify on;", "if ($arg_x) { return 444; }",
        "more_set_headers 'X: y';\nsatisfy any;", "rewrite_by_lua_block { ngx.exit(403) }",
        'add_header X "a #1"; deny all;', "# don't\ndeny all; # it's",
        "# harmless\nadd_header X 'a';error_page 418 = @login; return 418;",
    ],
    "haproxy.org/backend-config-snippet": [
        "http-request return status 403 if { path_beg /admin }", "http-request silent-drop",
        "option forwardfor\nhttp-request redirect location /login unless { req.cook(s) -m found }",
    ],
    "haproxy-ingress.github.io/config-backend": ["http-request lua.check", "tcp-request content x"],
    "nginx.org/location-snippets": ["auth_request /check;", "limit_except GET { }"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PROTECTING))
def test_what_protects_at_another_controller_refuses_the_service(name: str) -> None:
    """On the Service or on its Ingress; and the owner may say that it is meant."""
    notes = {name: PROTECTING[name]}
    found = run(notes)
    assert f"annotation {name} protects" in str(found.refusal)
    assert "services/shop/cart" not in found.records
    accepted = run({**notes, "lbsync.io/accept-unprotected": "true"})
    assert record(accepted).mode == "http"
    assert name in str(accepted.notices)
    led = translate(
        service(), [], NodePool(), ingresses=[ingress(rule("a.example", "/"), annotations=notes)]
    )
    assert f"annotation {name} of Ingress shop/web protects" in str(led.refusal)


@pytest.mark.parametrize(("name", "text"), [(n, text) for n, ts in RAW.items() for text in ts])
def test_raw_configuration_of_which_it_is_not_known_that_it_lets_in_everybody_refuses(
    name: str, text: str
) -> None:
    assert f"annotation {name} protects" in str(run({name: text}).refusal)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{NGINX}proxy-body-size", "8m"),
        (f"{NGINX}rewrite-target", "/$2"),
        (f"{NGINX}use-regex", "true"),
        (f"{NGINX}enable-modsecurity", "false"),
        (f"{NGINX}proxy-ssl-verify", "off"),
        (f"{NGINX}auth-type", ""),
        (f"{NGINX}configuration-snippet", "more_set_headers 'X-A: b';"),
        (f"{NGINX}configuration-snippet", "# no robots\nadd_header X-Robots-Tag 'none; x' always;\n"
         "proxy_set_header X-A $host;gzip on;"),
        ("haproxy.org/backend-config-snippet", "option http-server-close\n  timeout server 5s\n"
         "http-request set-header X-A b if { path /x }\nno option httplog"),
        ("haproxy.org/route-acl", "rand(100) lt 25"),
        (f"{NGINX}cors-allow-private-network", "true"),
        ("kubernetes.io/ingress.allow-http", "true"),
        ("kubernetes.io/ingress.global-static-ip-name", "web"),
        ("alb.ingress.kubernetes.io/actions.ssl-redirect", '{"Type": "redirect"}'),
        ("service.beta.kubernetes.io/do-loadbalancer-network", "EXTERNAL"),
        ("alb.ingress.kubernetes.io/scheme", "internet-facing"),
        ("alb.ingress.kubernetes.io/inbound-cidrs", "0.0.0.0/0, ::/0"),
        ("alb.ingress.kubernetes.io/ssl-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
        ("alb.ingress.kubernetes.io/target-type", "ip"),
        ("service.beta.kubernetes.io/aws-load-balancer-type", "nlb"),
        ("traefik.ingress.kubernetes.io/router.entrypoints", "websecure"),
        ("konghq.com/strip-path", "true"),
        ("ingress.corp.example/colour", "blue"),
    ],
)  # fmt: skip
def test_what_does_not_protect_there_is_a_warning(name: str, text: str) -> None:
    found = run({name: text})
    assert record(found).mode == "http"
    assert name in str(found.notices)


@given(
    st.sampled_from([NGINX, "nginx.org/", "traefik.ingress.kubernetes.io/", "konghq.com/",
                     "alb.ingress.kubernetes.io/", "service.beta.kubernetes.io/",
                     "haproxy-ingress.github.io/", "haproxy.org/", "x.ingress.example/"]),
    st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=63),
    st.text(max_size=40),
)  # fmt: skip
def test_no_annotation_of_a_controller_is_passed_over_in_silence(
    prefix: str, name: str, text: str
) -> None:
    found = run({prefix + name: text})
    told = [str(said) for said in (*found.notices, found.refusal) if said]
    assert any(prefix in said for said in told) or found.records != run({}).records


@given(
    st.sampled_from([NGINX, "alb.ingress.kubernetes.io/", "example-ingress.dev/"]),
    st.sampled_from(["auth", "jwt", "allowlist", "denylist", "whitelist", "waf", "modsecurity",
                     "middleware", "mtls", "client-cert", "ssl-verify", "source-range"]),
    st.text(string.ascii_lowercase, min_size=1, max_size=8),
    st.sampled_from(["{1}-{0}", "{0}-{1}", "{1}.{0}", "{1}_{0}_x", "{0}"]),
)  # fmt: skip
def test_an_unknown_name_that_sounds_like_protection_refuses(
    prefix: str, word: str, other: str, form: str
) -> None:
    name = prefix + form.format(word, f"x{other}")
    assert f"annotation {name} protects" in str(run({name: "10.1.2.3"}).refusal)


def test_annotations_of_nginx_with_an_equal_count_and_own_ones_win() -> None:
    notes = {
        f"{NGINX}whitelist-source-range": "10.0.0.0/8,192.0.2.7",
        f"{NGINX}force-ssl-redirect": "true",
        f"{NGINX}proxy-read-timeout": "90",
        f"{NGINX}affinity": "cookie",
        f"{NGINX}session-cookie-name": "route",
        f"{NGINX}limit-rpm": "300",
        f"{NGINX}enable-cors": "true",
        f"{NGINX}cors-allow-origin": "https://a.example",
        f"{NGINX}backend-protocol": "HTTPS",
        f"{NGINX}upstream-hash-by": "$request_uri",
        "lbsync.io/address-mode": "pod",
    }
    found = record(run(notes))
    assert found.allow == ("10.0.0.0/8", "192.0.2.7/32")
    text = encode(found).decode()
    for words in (
        *('"https":true', '"server":"90s"', '"cookie":"route"', '"requests":300', '"period":"1m"'),
        *("https://a.example", '"verify":"none"', '"balance":"uri"'),
    ):
        assert words in text, words
    own = record(run({**notes, "lbsync.io/allow": "172.16.0.0/12"}))
    assert own.allow == ("172.16.0.0/12",)


@pytest.mark.parametrize(
    ("fields", "annotations", "allow"),
    [
        ({"source_ranges": ("10.0.0.0/8",)}, {}, ("10.0.0.0/8",)),
        ({"source_ranges": (" 10.1.2.3/8 ", "2001:db8::/32")}, {}, ("10.0.0.0/8", "2001:db8::/32")),
        ({}, {RANGES: "10.0.0.0/8, 192.0.2.0/24"}, ("10.0.0.0/8", "192.0.2.0/24")),
        ({"source_ranges": ("10.0.0.0/8",)}, {RANGES: "0.0.0.0/0"}, ("10.0.0.0/8",)),
        ({"source_ranges": ("10.0.0.0/8",)}, {"lbsync.io/allow": "172.16.0.0/12"}, ("172.16.0.0/12",)),
        ({"source_ranges": ("0.0.0.0/0",)}, {}, ()),
        ({"source_ranges": ("10.0.0.0/8", "::/0")}, {}, ("10.0.0.0/8", "::/0")),
        ({}, {RANGES: "0.0.0.0/0,2001:db8::/32"}, ("0.0.0.0/0", "2001:db8::/32")),
        ({"source_ranges": ("192.0.2.7/32", "10.1.0.0/8")},
         {f"{NGINX}whitelist-source-range": "10.0.0.0/8, 192.0.2.7"}, ("10.0.0.0/8", "192.0.2.7/32")),
        ({"source_ranges": ("10.0.0.0/8",)}, {f"{NGINX}whitelist-source-range": "10.0.0.0/8"},
         ("10.0.0.0/8",)),
        ({"source_ranges": ("10.0.0.0/8",)}, {"lbsync.io/mode": "tcp", "lbsync.io/listen": "5432",
                                              "lbsync.io/hosts": ""}, ("10.0.0.0/8",)),
    ],
)  # fmt: skip
def test_the_source_ranges_of_a_load_balancer_are_its_allow_list(
    fields: dict[str, Any], annotations: dict[str, str], allow: tuple[str, ...]
) -> None:
    assert record(run(annotations, type="LoadBalancer", **fields)).allow == allow


def test_source_ranges_that_cannot_be_meant_refuse_the_service() -> None:
    wrong = run({}, type="LoadBalancer", source_ranges=("10.0.0.0/8", "office"))
    assert "spec.loadBalancerSourceRanges" in str(wrong.refusal)
    two = run({f"{NGINX}whitelist-source-range": "192.0.2.0/24"}, source_ranges=("10.0.0.0/8",))
    assert "let in different clients" in str(two.refusal)
