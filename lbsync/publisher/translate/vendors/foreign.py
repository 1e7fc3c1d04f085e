"""Annotations of controllers that lbsync has no table of names for: which of them keep somebody out.

Their users move here, and an annotation that nobody reads any more leaves a service open. What such a
name protects is told by its words: all these controllers write `auth`, `allow`, `whitelist`, `limit` … for
the same things. A name that sounds so and does not protect costs its owner one annotation; the other
mistake costs more.
"""

import re
from collections.abc import Iterable

_CONTROLLERS = {
    "ingress-nginx": ("nginx.ingress.kubernetes.io/",),
    "NGINX Ingress Controller": (
        *("nginx.org/", "nginx.com/", "appprotect.f5.com/", "appprotectdos.f5.com/"),
    ),
    "Traefik": ("traefik.ingress.kubernetes.io/", "traefik.io/", "traefik.containo.us/"),
    "AWS Load Balancer Controller": ("alb.ingress.kubernetes.io/",),
    "a cloud's load balancer": (
        *("service.beta.kubernetes.io/", "service.kubernetes.io/", "cloud.google.com/"),
        *("kubernetes.io/ingress.", "kubernetes.io/elb.", "kubernetes.civo.com/"),
        *("lb.stackit.cloud/", "yawol.stackit.cloud/", "vks.vngcloud.vn/"),
        *("beta.cloud.google.com/", "networking.gke.io/", "ingress.gcp.kubernetes.io/"),
        *("load-balancer.hetzner.cloud/", "kubernetes.digitalocean.com/", "oci.oraclecloud.com/"),
        *("oci-network-load-balancer.oraclecloud.com/", "loadbalancer.openstack.org/"),
        *("ingress.bluemix.net/", "lb.kubernetes.io/", "k8s.scaleway.com/", "yandex.cloud/"),
        *("service.cilium.io/", "ingress.cilium.io/", "io.cilium/", "lbipam.cilium.io/"),
        *("metallb.io/", "metallb.universe.tf/", "kube-vip.io/", "loxilb.io/", "purelb.io/"),
        *("lb.kubesphere.io/", "eip.openelb.kubesphere.io/"),
    ),
    "Application Gateway": ("appgw.ingress.kubernetes.io/", "alb.networking.azure.io/"),
    "Kong": ("konghq.com/", "configuration.konghq.com/"),
    "Contour": ("projectcontour.io/", "contour.heptio.com/"),
    "Istio": ("networking.istio.io/", "security.istio.io/", "auth.istio.io/", "istio.io/"),
    "Ambassador": ("getambassador.io/",),
    "OpenShift": (
        *("haproxy.router.openshift.io/", "router.openshift.io/", "route.openshift.io/"),
    ),
    "F5": ("virtual-server.f5.com/", "cis.f5.com/"),
    "Avi": ("ako.vmware.com/", "aviinfrasetting.ako.vmware.com/", "passthrough.ako.vmware.com/"),
    "NSX": ("ncp/", "nsx.vmware.com/"),
    "Linkerd": ("policy.linkerd.io/",),
    "APISIX": ("k8s.apisix.apache.org/",),
    "Skipper": ("zalando.org/",),
    "Gloo": ("gloo.solo.io/", "gateway.solo.io/"),
    "Citrix": ("ingress.citrix.com/", "service.citrix.com/"),
    "Pomerium": ("ingress.pomerium.io/",),
    "ngrok": ("k8s.ngrok.com/", "kubernetes.ngrok.com/"),
    "Voyager": ("ingress.appscode.com/", "voyager.appscode.com/"),
    "Higress": ("higress.io/",),
    "Emissary": ("emissary-ingress.dev/",),
    "Tyk": ("tyk.io/", "ingress.tyk.io/"),
}
_NAMES = {prefix: name for name, prefixes in _CONTROLLERS.items() for prefix in prefixes}
#: A controller that nobody has listed yet, by how such prefixes are made.
_LIKE_ONE = re.compile(r"[^/]*(?:ingress(?!class)|gateway|router|load-?balancer)[^/]*/")

_WRITTEN = frozenset(
    {
        "kubernetes.io/ingress.class",
        *("cloud.google.com/neg", "cloud.google.com/neg-status"),
        *("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints"),
        *("metallb.io/ip-allocated-from-pool", "metallb.universe.tf/ip-allocated-from-pool"),
    }
)
"""What controllers write themselves, or what is done for the cluster: nobody's wish to us."""

_WORDS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_PROTECTING = re.compile(
    r"(?:^|-)(?:"
    r"(?:basic|forward|external|global|mutual|sso)?auth|authn|authz|authenticat\w*|authori[sz]\w*"
    r"|oauth2?|oidc|openid|jwts?|saml|sso|iap|ldap|htpasswd|passwords?|credentials?|secrets?"
    r"|allow(?:ed|s|list)?|den(?:y|ied|ies|ylist)|(?:white|black|block|safe)list(?:ed|s)?"
    r"|(?:white|black|block)-list|block(?:ed|s)?|ban(?:ned)?|restrict\w*|forbid\w*|reject\w*"
    r"|source-(?:ranges?|ips?|cidrs?)|src-(?:ranges?|ips?|cidrs?)|sourceranges?|(?:ip|address)-?ranges?"
    r"|ip-?(?:filter|restriction|access)\w*|cidrs?|acls?|conditions?"
    r"|limit(?:s|er|ers|ing|ed)?|ratelimit\w*|throttl\w*|quotas?|rate-limit\w*|conn(?:ection)?s?-per\w*"
    r"|waf(?:v\d)?|modsecurity|owasp|app-?protect|shield|firewall|armor|bot|captcha|ddos|dos"
    r"|middlewares?|plugins?|filters?|polic(?:y|ies)|predicates?|extensionref"
    r"|security(?:group|rule)?s?|mtls|client-(?:certs?|ca|cas|certificates?|tls)|clientca|trusted"
    r"|(?:ssl|tls|peer|proxy-ssl|server)-(?:verify|verification|secret|profile|options|ca)"
    r"|verify|verification|backend-config|override"
    r"|(?:wallarm|coraza|crowdsec|naxsi|fail2ban|hmac|csrf|geo-?(?:ip|block\w*|fenc\w*))[\w-]*"
    r")(?:-|$)"
)
_CERTAIN = re.compile(
    r"(?:^|-)(?:"
    r"(?:allow|deny|white|black|block|safe)-?list(?:ed|s)?"
    r"|(?:source|src)-?(?:ranges?|ips?|cidrs?)"
    r"|(?:allow|deny|block)(?:ed)?-(?:ips?|cidrs?|source\w*|ranges?|networks?|clients?)"
    r"|(?:inbound|client)-(?:ips?|cidrs?|ranges?|networks?)|ip-?(?:filter|restriction)\w*"
    r"|(?:basic|forward|ext|external)-?auth\w*|auth-(?:url|type|basic|realm|signin|proxy|tls\w*)"
    r"|oauth2?-proxy|oidc|jwt|mtls|client-(?:certs?|ca)|middlewares?"
    r"|rate-?limit\w*|limit-(?:rps|rpm|conn\w*|req\w*)|acls?|waf\w*|modsecurity|firewalls?"
    r"|security-?groups?"
    r")(?:-|$)"
)
"""Of whatever controller: the words that hardly stand in a name that keeps nobody out."""
_HARMLESS = re.compile(
    r"(?:^|-)cors-|enable-cors|(?:ssl|tls|ip-?family|traffic|negotiation|affinity|session|restart)-policy"
    r"|^manage-backend-security-group-rules$|shared-securityrule|allow-(?:http2?|global-access|auto)"
    r"|allow-(?:snippet|port|empty)|session-cookie|limit-rate-after"
)
_PRIVATE = re.compile(r"(?:^|-)(?:internal|private|scheme|visibility|type|expose|exposure)(?:-|$)")
_BALANCER = re.compile(r"(?:^|-)(?:scheme|lb|load-?balancer|exposure|visibility)(?:-|$)")
_TO_ALL = re.compile(
    r"(?:^|-)(?:public|internet|anonymous|unauthenticated|exposed?|allow-http)(?:-|$)"
)
_NOT_TO_ALL = re.compile(
    r"(?:^|-)(?:disable|no|without|block)-(?:[a-z0-9]+-)*(?:public|internet)(?:-|$)"
)
_KEEPS_OUT = re.compile(r"den|black|block")
_IS_PRIVATE = frozenset(
    {"internal", "intranet", "private", "internal-only", "cluster-local", "local"}
)
_YES = frozenset({"true", "yes", "on", "1", "enabled", "0.0.0.0/0"})
_NO = frozenset({"", "false", "off", "no", "none", "0", "disabled", "null", "[]", "{}"})
_EVERYBODY = frozenset({"0.0.0.0/0", "::/0"})
_RAW = re.compile(
    r"snippets?|template|(?:^|-)config(?:uration)?(?:-|$)|lua|^config-", re.IGNORECASE
)
_REFERENCE = re.compile(r"[\w./@:-]+")
"""A raw annotation that only names where its text is: what it does is told by these words alone."""
_RAW_PROTECTS = re.compile(
    r"deny|allow|auth|reject|forbid|limit|acl|block|waf|modsecurity|ssl[_-]|mtls|jwt|oidc|internal"
    r"|private|secur|protect",
    re.IGNORECASE,
)
_ACTION = re.compile(r"(?:^|-)actions?(?:-|$)")
_ACTION_PROTECTS = re.compile(r"fixed-?response|authenticat|jwt", re.IGNORECASE)
_TEXT = re.compile(r"(?<![^\s{;(])(?:\"[^\"]*\"|'[^']*'|#.*)")
"""Quoted words and comments: whichever begins first."""
_CONDITION = re.compile(r"(?m)^(\s*http-\S+\s.*?)\s(?:if|unless)\s.*$")
"""When HAProxy does it (manual 7.2), which is the rest of the line."""
_DECORATES = re.compile(
    r"(?:more_(?:set|clear)_headers|add_header|proxy_(?:set|hide|pass)_header|proxy_\w*timeout"
    r"|proxy_\w*buffer\w*|proxy_http_version|proxy_cookie_\w+|proxy_next_upstream\w*"
    r"|proxy_max_temp_file_size|client_(?:max_body_size|body_\w+|header_\w+)"
    r"|large_client_header_buffers|g?zip\w*|gunzip|brotli\w*|expires|etag|charset\w*|sub_filter\w*"
    r"|server_tokens|keepalive_\w+|send_timeout|chunked_transfer_encoding|access_log|error_log"
    r"|default_type|tcp_nodelay|tcp_nopush|sendfile|port_in_redirect|absolute_redirect|opentracing\w*"
    r"|http-(?:request|response|after-response)\s+(?:(?:set|add|del|replace)-(?:header|value)|capture"
    r"|set-log-level)|(?:no\s+)?option|timeout|compression|retries|retry-on|balance|hash-type|fullconn"
    r"|http-reuse|log|capture)(?:\s|$)"
)
"""Directives of nginx and HAProxy that decide about headers, times and sizes, never about who is let in."""


def controller_of(name: str) -> str:
    """Return whose annotation this is, for a sentence; empty: of no controller that is known or looks
    like one, or written by a controller itself."""
    if name in _WRITTEN:
        return ""
    for prefix, controller in _NAMES.items():
        if name.startswith(prefix):
            return controller
    return "another controller" if _LIKE_ONE.match(name) else ""


def concerns(name: str, text: str) -> bool:
    """Tell whether an annotation is of a controller, or protects whosever it is: nobody knows them all,
    and a prefix is easily forgotten."""
    if name in _WRITTEN:
        return False
    if controller_of(name):
        return True
    words, value = _as_words(bare(name)), text.strip().lower()
    if _BALANCER.search(words) and _keeps_inside(words, value):
        return True
    return asks(text) and bool(_CERTAIN.search(words)) and not _HARMLESS.search(words)


def bare(name: str) -> str:
    """Return a name without its prefix, where it has one."""
    return name.rpartition("/")[2]


def asks(text: str) -> bool:
    """Tell whether a value asks for something: it is no way of saying no."""
    return text.strip().lower() not in _NO


def protects(name: str, text: str) -> bool:
    """Tell whether an annotation looks as if it kept somebody out, or proved who a server is.

    `name` without its prefix, or what is left of it.
    """
    value = text.strip().lower()
    words = _as_words(name)
    if value and not asks(text):
        return bool(_TO_ALL.search(words)) and "cors-" not in words
    if not value or _HARMLESS.search(words):
        return False
    if _keeps_inside(words, value):
        return True
    if not _PROTECTING.search(words):
        return is_raw_protection(name, text)
    return bool(_KEEPS_OUT.search(words)) or is_restrictive(re.split(r"[\s,\[\]\"']+", value))


def is_restrictive(networks: Iterable[str]) -> bool:
    """Tell whether a list of those who are let in keeps anybody out. One that holds everybody of one
    family beside some of the other does."""
    return bool({network.strip() for network in networks} - {"", *_EVERYBODY})


def _keeps_inside(words: str, value: str) -> bool:
    """Tell whether a load balancer is asked to be reachable from inside only."""
    if value in _IS_PRIVATE and (value != "local" or _PRIVATE.search(words)):
        return True
    if value in _YES and _NOT_TO_ALL.search(words):
        return True
    if not _PRIVATE.search(words):
        return False
    is_switch = "internal" in words or "private" in words
    return (is_switch and value in _YES) or "internal-subnet" in words


def is_raw_protection(name: str, text: str) -> bool:
    """Tell whether an annotation holds raw configuration that may keep somebody out.

    There are more ways to do that than anybody lists (`return`, `silent-drop`, Lua, a redirect to a
    login), so what counts is that each directive is known to do something else.
    """
    words = _as_words(name)
    if _ACTION.search(words) and _ACTION_PROTECTS.search(text):
        return True
    if not _RAW.search(words) or not asks(text):
        return False
    if _REFERENCE.fullmatch(text.strip()):
        return bool(_RAW_PROTECTS.search(text))
    plain = _CONDITION.sub(r"\1", _TEXT.sub("", text))
    statements = filter(None, (part.strip() for part in re.split(r"[;{}\n]+", plain)))
    return not all(map(_DECORATES.match, statements))


def _as_words(name: str) -> str:
    """Return the words of a name in lower case with hyphens: `whitelistSourceRange`, `ip_whitelist`."""
    return "-".join(word.lower() for word in _WORDS.findall(name))
