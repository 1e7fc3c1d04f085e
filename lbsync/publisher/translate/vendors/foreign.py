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
        *("beta.cloud.google.com/", "networking.gke.io/", "ingress.gcp.kubernetes.io/"),
        *("load-balancer.hetzner.cloud/", "kubernetes.digitalocean.com/", "oci.oraclecloud.com/"),
        *("oci-network-load-balancer.oraclecloud.com/", "loadbalancer.openstack.org/"),
        *("ingress.bluemix.net/", "lb.kubernetes.io/", "k8s.scaleway.com/", "yandex.cloud/"),
        *("service.cilium.io/", "ingress.cilium.io/", "io.cilium/", "lbipam.cilium.io/"),
        *("metallb.io/", "metallb.universe.tf/", "kube-vip.io/", "loxilb.io/"),
    ),
    "Application Gateway": ("appgw.ingress.kubernetes.io/", "alb.networking.azure.io/"),
    "Kong": ("konghq.com/", "configuration.konghq.com/"),
    "Contour": ("projectcontour.io/", "contour.heptio.com/"),
    "Istio": ("networking.istio.io/", "security.istio.io/", "auth.istio.io/", "istio.io/"),
    "Ambassador": ("getambassador.io/",),
    "OpenShift": ("haproxy.router.openshift.io/", "router.openshift.io/"),
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
    r")(?:-|$)"
)
_HARMLESS = re.compile(
    r"(?:^|-)cors-|enable-cors|(?:ssl|tls|ip-?family|traffic|negotiation|affinity|session|restart)-policy"
    r"|^manage-backend-security-group-rules$|shared-securityrule|allow-(?:http2?|global-access|auto)"
    r"|allow-(?:snippet|port|empty)|session-cookie|limit-rate-after"
)
_PRIVATE = re.compile(r"(?:^|-)(?:internal|private|scheme|visibility|type|expose|exposure)(?:-|$)")
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
_RAW_PROTECTS = re.compile(
    r"\b(?:deny|allow|auth\w*|reject|tarpit|forbid\w*|limit\w*|acl|acls|satisfy|secure_link\w*|block"
    r"|modsecurity\w*|access_by_lua\w*|return\s+4\d\d|ssl_verify\w*|ssl_client\w*|valid_referers"
    r"|ratelimit\w*|rate_limit\w*|src|jwt\w*|oidc\w*|waf\w*)\b",
    re.IGNORECASE,
)


def controller_of(name: str) -> str:
    """Return whose annotation this is, for a sentence; empty: of no controller that is known or looks
    like one, or written by a controller itself."""
    if name in _WRITTEN:
        return ""
    for prefix, controller in _NAMES.items():
        if name.startswith(prefix):
            return controller
    return "another controller" if _LIKE_ONE.match(name) else ""


def asks(text: str) -> bool:
    """Tell whether a value asks for something: it is no way of saying no."""
    return text.strip().lower() not in _NO


def protects(name: str, text: str) -> bool:
    """Tell whether an annotation looks as if it kept somebody out, or proved who a server is.

    `name` without its prefix, or what is left of it.
    """
    value = text.strip().lower()
    words = _as_words(name)
    if not asks(text) or _HARMLESS.search(words):
        return False
    if _keeps_inside(words, value):
        return True
    if not _PROTECTING.search(words):
        return is_raw_protection(name, text)
    return bool(_KEEPS_OUT.search(words)) or is_restrictive(re.split(r"[\s,]+", value))


def is_restrictive(networks: Iterable[str]) -> bool:
    """Tell whether a list of those who are let in keeps anybody out."""
    found = {network.strip() for network in networks} - {""}
    return bool(found) and not found & _EVERYBODY


def _keeps_inside(words: str, value: str) -> bool:
    """Tell whether a load balancer is asked to be reachable from inside only."""
    if not _PRIVATE.search(words):
        return False
    is_switch = "internal" in words or "private" in words
    return value in _IS_PRIVATE or (is_switch and value in _YES) or "internal-subnet" in words


def is_raw_protection(name: str, text: str) -> bool:
    """Tell whether an annotation holds raw configuration that looks as if it kept somebody out."""
    return bool(_RAW.search(_as_words(name)) and _RAW_PROTECTS.search(text))


def _as_words(name: str) -> str:
    """Return the words of a name in lower case with hyphens: `whitelistSourceRange`, `ip_whitelist`."""
    return "-".join(word.lower() for word in _WORDS.findall(name))
