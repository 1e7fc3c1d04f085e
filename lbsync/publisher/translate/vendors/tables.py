"""The annotations of two other controllers: what each sets, or what to do instead."""

from lbsync.publisher.translate.fields import read_number
from lbsync.publisher.translate.vendors import aliases as a
from lbsync.publisher.translate.vendors import policies as policy
from lbsync.publisher.translate.vendors.aliases import Vendor, span, switch, to
from lbsync.publisher.translate.vendors.nginx import INGRESS_NGINX
from lbsync.publisher.translate.vendors.policies import part

_RAW = "raw HAProxy configuration is not taken from the cluster; put it into a template"
_SECRET = "lbsync reads no Secrets; keep certificates on the HAProxy hosts"
_USERS = "lbsync reads no Secrets; write the users into annotation lbsync.io/auth-users"
_CA = "lbsync reads no Secrets; use annotations lbsync.io/backend-tls-*"
_HOSTWIDE = "it holds for all services of a host; set it in the templates there"
_SLOTS = "servers are added and removed at run time without spare slots; take it out"
_ROUTES = "write the weights into the key routes/<namespace>/<name> instead"
_PROXY = "no PROXY header is sent to servers; let them take X-Forwarded-For"
_NONE = "it has no counterpart; take it out"
_COOKIE = "the cookie is always inserted, with the server's name; take it out"
_HOSTS = "write all hosts into annotation lbsync.io/hosts"
_REDIRECT = "redirects are https and www only; use annotations lbsync.io/redirect-*"
_PASS = "use annotations lbsync.io/mode: tcp and lbsync.io/listen"
_LOG = "what is logged is decided in the templates"


def _all(cure: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, cure)


_TIMEOUTS = {
    f"timeout-{x}": to(f"timeouts.{x}", span) for x in ("connect", "server", "queue", "tunnel")
}
_CORS = {
    "cors-enable": policy.cors,
    "cors-allow-origin": policy.cors_origins,
    "cors-allow-origin-regex": policy.cors_origins,
    "cors-allow-methods": part(policy.cors_on, policy.cors_methods),
    "cors-allow-headers": part(policy.cors_on, to("cors.headers", policy.items)),
    "cors-expose-headers": part(policy.cors_on, to("cors.expose", policy.items)),
    "cors-allow-credentials": part(policy.cors_on, to("cors.credentials", switch)),
    "cors-max-age": part(policy.cors_on, to("cors.max_age", policy.seconds)),
}

HAPROXY_INGRESS = Vendor(
    prefixes=("haproxy-ingress.github.io/", "ingress.kubernetes.io/"),
    given={
        **_TIMEOUTS,
        "affinity": policy.affinity,
        "session-cookie-name": part(policy.affinity_on, to("sticky.cookie")),
        "session-cookie-same-site": part(policy.affinity_on, policy.same_site),
        "session-cookie-strategy": a.only("insert", "the cookie is always inserted"),
        "session-cookie-dynamic": a.only("false", "the cookie holds the server's name"),
        "balance-algorithm": to("balance", a.balance),
        "backend-check-interval": to("check.interval", span),
        "health-check-uri": to("check.path"),
        "health-check-port": to("check.port", read_number),
        "health-check-interval": to("check.interval", span),
        "health-check-rise-count": to("check.rise", read_number),
        "health-check-fall-count": to("check.fall", read_number),
        "ssl-redirect": to("redirect.https", switch),
        "ssl-redirect-code": to("redirect.code", read_number),
        "maxconn-server": to("maxconn", read_number),
        "headers": to("headers.request.set", a.header_lines),
        "request-set-headers": to("headers.request.set", a.header_lines),
        "response-set-headers": to("headers.response.set", a.header_lines),
        "hsts": policy.hsts,
        "hsts-max-age": part(policy.hsts_on, to("hsts.max_age", policy.seconds)),
        "hsts-include-subdomains": part(policy.hsts_on, to("hsts.subdomains", switch)),
        "hsts-preload": part(policy.hsts_on, to("hsts.preload", switch)),
        **_CORS,
        "allowlist-source-range": to("allow", policy.items),
        "whitelist-source-range": to("allow", policy.items),
        "denylist-source-range": to("deny", policy.items),
        "limit-rps": policy.limit_rps,
        "limit-whitelist": part(policy.limit_rps_on, to("rate_limit.exempt", policy.items)),
        "rewrite-target": policy.rewrite_target,
        "backend-protocol": policy.backend_protocol,
        "secure-backends": policy.server_tls,
        "service-upstream": a.service_upstream,
        "tcp-service-port": a.tcp_port,
        "drain-support": a.only("true", "pods that terminate are always drained"),
        "backend-server-naming": a.only("pod", "servers are always named after their pods"),
    },
    lacking={
        **_all(_USERS, "auth-type", "auth-secret", "auth-realm"),
        **_all(_CA, "secure-verify-ca-secret", "secure-verify-hostname", "secure-crt-secret"),
        **_all(_CA, "secure-sni", "ssl-ciphers-backend", "ssl-cipher-suites-backend"),
        **_all(_CA, "ssl-options-backend"),
        **_all(_NONE, "allowlist-source-header", "limit-connections"),
        **_all(_RAW, "config-backend", "config-frontend", "config-frontend-early"),
        **_all(_RAW, "config-frontend-late", "config-global", "config-defaults", "config-proxy"),
        **_all(_RAW, "config-sections", "config-tcp", "config-tcp-service"),
        **_all(_SECRET, "auth-tls-secret", "auth-tls-verify-client", "auth-tls-strict"),
        **_all(_SECRET, "auth-tls-cert-header", "auth-tls-error-page", "cert-signer"),
        **_all(_SECRET, "acme-preferred-chain"),
        **_all(_NONE, "auth-url", "auth-signin", "auth-method", "auth-headers-request"),
        **_all(_NONE, "auth-headers-succeed", "auth-headers-fail", "auth-external-placement"),
        **_all(_NONE, "oauth", "oauth-uri-prefix", "oauth-headers", "waf", "waf-mode"),
        **_all(_NONE, "agent-check-port", "agent-check-addr", "agent-check-interval"),
        **_all(_NONE, "agent-check-send", "health-check-addr", "maxqueue-server"),
        **_all(_NONE, "drain-support-redispatch", "path-type", "path-type-order"),
        **_all(_NONE, "proxy-body-size", "source-address-intf", "use-resolver", "var-namespace"),
        **_all(_NONE, "http-header-match", "http-header-match-regex", "ssl-always-add-https"),
        **_all(_NONE, "ssl-always-follow-redirect", "no-tls-redirect-locations"),
        **_all(_NONE, "ssl-fingerprint-lower", "ssl-fingerprint-sha2-bits"),
        **_all(_NONE, "tcp-service-proxy-protocol", "assign-backend-server-id"),
        **_all(_LOG, "tcp-service-log-format"),
        **_all(_REDIRECT, "redirect-from", "redirect-from-regex", "redirect-to", "app-root"),
        **_all(_REDIRECT, "redirect-to-code", "redirect-from-code"),
        **_all(_HOSTS, "server-alias", "server-alias-regex"),
        **_all(_PASS, "ssl-passthrough", "ssl-passthrough-http-port"),
        **_all(_COOKIE, "session-cookie-preserve", "session-cookie-value-strategy"),
        **_all(_COOKIE, "session-cookie-shared", "session-cookie-keywords"),
        **_all(_COOKIE, "session-cookie-domain"),
        **_all(_ROUTES, "blue-green-balance", "blue-green-mode", "blue-green-deploy"),
        **_all(_ROUTES, "blue-green-header", "blue-green-cookie", "initial-weight"),
        **_all(_SLOTS, "dynamic-scaling", "slots-min-free", "slots-increment"),
        **_all(_SLOTS, "backend-server-slots-increment"),
        **_all(_PROXY, "proxy-protocol"),
        **_all(_HOSTWIDE, "timeout-client", "timeout-client-fin", "timeout-http-request"),
        **_all(_HOSTWIDE, "timeout-keep-alive", "timeout-server-fin", "timeout-stop"),
        **_all(_HOSTWIDE, "use-proxy-protocol", "worker-max-reloads", "close-sessions-duration"),
        **_all(_HOSTWIDE, "ssl-ciphers", "ssl-cipher-suites", "ssl-options-host", "tls-alpn"),
        **_all(
            _HOSTWIDE, *(f"http-response-{code}" for code in (200, 400, 401, 403, 404, 405, 407))
        ),
        **_all(_HOSTWIDE, *(f"http-response-{code}" for code in (408, 410, 413, 421, 425, 429))),
        **_all(
            _HOSTWIDE, *(f"http-response-{code}" for code in (495, 496, 500, 501, 502, 503, 504))
        ),
    },
    protecting=frozenset(
        (
            *("auth-type", "auth-secret", "auth-url", "oauth", "auth-tls-secret"),
            *("auth-tls-verify-client", "allowlist-source-header", "waf", "limit-connections"),
            *("secure-verify-ca-secret", "secure-verify-hostname"),
            *("http-header-match", "http-header-match-regex"),
        )
    ),
)

HAPROXY_TECHNOLOGIES = Vendor(
    prefixes=("haproxy.org/", "haproxy.com/"),
    given={
        **_TIMEOUTS,
        "load-balance": to("balance", a.balance),
        "cookie-persistence": to("sticky.cookie"),
        "cookie-persistence-no-dynamic": to("sticky.cookie"),
        "check": a.check_switch,
        "check-http": a.check_http,
        "check-interval": to("check.interval", span),
        "ssl-redirect": to("redirect.https", switch),
        "ssl-redirect-code": to("redirect.code", read_number),
        "request-set-header": to("headers.request.set", a.header_lines),
        "response-set-header": to("headers.response.set", a.header_lines),
        "set-host": to("headers.request.set.Host"),
        "pod-maxconn": to("maxconn", read_number),
        **_CORS,
        "allow-list": to("allow", policy.items),
        "whitelist": to("allow", policy.items),
        "deny-list": to("deny", policy.items),
        "blacklist": to("deny", policy.items),
        "rate-limit-requests": policy.rate_limit,
        "rate-limit-period": part(policy.rate_on, to("rate_limit.period", span)),
        "rate-limit-status-code": part(policy.rate_on, to("rate_limit.status", read_number)),
        "rate-limit-whitelist": part(policy.rate_on, to("rate_limit.exempt", policy.items)),
        "path-rewrite": policy.path_rewrite,
        "route-acl": a.route_acl,
        "server-ssl": policy.server_tls,
        "server-proto": part(policy.server_tls_on, policy.server_proto),
        "forwarded-for": a.only("true", "X-Forwarded-For is set for every service"),
    },
    lacking={
        **_all(_USERS, "auth-type", "auth-secret", "auth-realm"),
        **_all(_CA, "server-ca", "server-crt"),
        **_all(_NONE, "rate-limit-size"),
        **_all(_RAW, "backend-config-snippet", "frontend-config-snippet", "stats-config-snippet"),
        **_all(_RAW, "global-config-snippet"),
        **_all(_SECRET, "client-ca", "client-crt-optional", "client-strict-sni", "ssl-certificate"),
        **_all(_SECRET, "generate-certificates-signer", "clean-certs"),
        **_all(_REDIRECT, "request-redirect", "request-redirect-code", "ssl-redirect-port"),
        **_all(_SLOTS, "scale-server-slots", "servers-increment", "server-slots"),
        **_all(_PROXY, "send-proxy-protocol"),
        **_all(_PASS, "ssl-passthrough"),
        **_all(_NONE, "standalone-backend", "src-ip-header", "ingress.class", "abortonclose"),
        **_all(_LOG, "request-capture", "request-capture-len", "log-format", "log-format-tcp"),
        **_all(_LOG, "dontlognull", "logasap", "syslog-server"),
        **_all(_HOSTWIDE, "timeout-client", "timeout-client-fin", "timeout-http-request"),
        **_all(_HOSTWIDE, "timeout-http-keep-alive", "timeout-server-fin"),
        **_all(_NONE, "timeout-check"),
        **_all(_HOSTWIDE, "hard-stop-after", "http-connection-mode", "http-keep-alive"),
        **_all(_HOSTWIDE, "http-server-close", "maxconn", "nbthread", "proxy-protocol"),
        **_all(_HOSTWIDE, "quic-alt-svc-max-age", "tls-alpn"),
    },
    protecting=frozenset(("auth-type", "auth-secret", "client-ca", "server-ca")),
)

VENDORS = (HAPROXY_INGRESS, HAPROXY_TECHNOLOGIES, INGRESS_NGINX)
"""Where several say something of one field, the first one's word counts."""
