"""The annotations of ingress-nginx that have an equal here. All others: `foreign`.

Source: ingress-nginx, user guide, "Annotations". Bare numbers of its times are seconds.
"""

from typing import Any

from lbsync.publisher.translate.fields import read_number
from lbsync.publisher.translate.vendors import aliases as a
from lbsync.publisher.translate.vendors import policies as policy
from lbsync.publisher.translate.vendors.aliases import (
    NoCounterpart,
    Sets,
    Siblings,
    Vendor,
    switch,
    to,
)
from lbsync.publisher.translate.vendors.policies import part

_BALANCE = {"round_robin": "roundrobin", "roundrobin": "roundrobin"}
_HASHED = {"$remote_addr": "source", "$binary_remote_addr": "source", "$request_uri": "uri"}


def _balance(text: str) -> str:
    if text.strip() not in _BALANCE:
        raise NoCounterpart("use annotation lbsync.io/balance")
    return _BALANCE[text.strip()]


def _hash_by(text: str, siblings: Siblings) -> Sets:
    del siblings
    if text.strip() not in _HASHED:
        raise NoCounterpart(
            "clients are told apart by address or URI; see annotation lbsync.io/balance"
        )
    return {("balance",): _HASHED[text.strip()]}


def _limit_rpm(text: str, siblings: Siblings) -> Sets:
    if "limit-rps" in siblings:
        raise ValueError("of limit-rps and limit-rpm only one can be done: take one of them out")
    return {("rate_limit", "requests"): read_number(text), ("rate_limit", "period"): "1m"}


def _limited(siblings: Siblings) -> bool:
    return "limit-rps" in siblings or "limit-rpm" in siblings


def _cors_on(siblings: Siblings) -> bool:
    try:
        return switch(siblings.get("enable-cors", "false"))
    except ValueError:
        return False


def _cors(text: str, siblings: Siblings) -> Sets:
    if not switch(text) or "cors-allow-origin" in siblings:
        return {}
    return {("cors", "origins"): ["*"]}


def _same_site(text: str, siblings: Siblings) -> Sets:
    del siblings
    value = text.strip().lower()
    sets: Sets = {("sticky", "same_site"): value}
    return sets | {("sticky", "secure"): True} if value == "none" else sets


def _cors_part(path: str, convert: Any) -> a.Convert:
    return part(_cors_on, to(path, convert))


INGRESS_NGINX = Vendor(
    prefixes=("nginx.ingress.kubernetes.io/",),
    given={
        "whitelist-source-range": to("allow", policy.items),
        "allowlist-source-range": to("allow", policy.items),
        "denylist-source-range": to("deny", policy.items),
        "ssl-redirect": to("redirect.https", switch),
        "force-ssl-redirect": to("redirect.https", switch),
        "proxy-connect-timeout": to("timeouts.connect", policy.seconds),
        "proxy-read-timeout": to("timeouts.server", policy.seconds),
        "affinity": policy.affinity,
        "session-cookie-name": part(policy.affinity_on, to("sticky.cookie")),
        "session-cookie-samesite": part(policy.affinity_on, _same_site),
        "load-balance": to("balance", _balance),
        "upstream-hash-by": _hash_by,
        "upstream-vhost": to("headers.request.set.Host"),
        "enable-cors": _cors,
        "cors-allow-origin": _cors_part("cors.origins", policy.items),
        "cors-allow-methods": part(_cors_on, policy.cors_methods),
        "cors-allow-headers": _cors_part("cors.headers", policy.items),
        "cors-expose-headers": _cors_part("cors.expose", policy.items),
        "cors-allow-credentials": _cors_part("cors.credentials", switch),
        "cors-max-age": _cors_part("cors.max_age", policy.seconds),
        "limit-rps": policy.limit_rps,
        "limit-rpm": _limit_rpm,
        "limit-whitelist": part(_limited, to("rate_limit.exempt", policy.items)),
        "limit-allowlist": part(_limited, to("rate_limit.exempt", policy.items)),
        "backend-protocol": policy.backend_protocol,
        "service-upstream": a.service_upstream,
    },
    lacking={},
    protecting=frozenset(),
)
