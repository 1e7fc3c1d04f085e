"""What protects a Service is lost to nobody: not to another annotation, not to an omission."""

import pytest

from lbsync.kube_objects import Ingress
from lbsync.model.records import ServiceRecord
from lbsync.publisher.translate import NodePool, Translation
from tests.kube_objects import ingress, rule, service
from tests.publishing import translate

NGINX = "nginx.ingress.kubernetes.io/"
KI = "haproxy.org/"
OWN = "lbsync.io/"
OFFICE = "10.0.0.0/8"
ALL = "0.0.0.0/0"
HOSTS = {f"{OWN}hosts": "cart.example"}
ACCEPT = {f"{OWN}accept-unprotected": "true"}


def led(*notes: dict[str, str]) -> list[Ingress]:
    """Ingresses with these annotations, the oldest first."""
    return [
        ingress(rule(f"{n}.example", "/"), name=f"web-{n}", annotations=found,
                created=f"2026-01-0{n}T00:00:00Z")
        for n, found in enumerate(notes, 1)
    ]  # fmt: skip


def run(
    notes: dict[str, str], *ingresses: dict[str, str], ranges: tuple[str, ...] = ()
) -> Translation:
    own = service(annotations=notes, source_ranges=ranges)
    return translate(own, [], NodePool(), ingresses=led(*ingresses))


def record(found: Translation) -> ServiceRecord:
    assert found.refusal is None
    stored = found.records["services/shop/cart"]
    assert isinstance(stored, ServiceRecord)
    return stored


RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
AT_ODDS: list[tuple[dict[str, str], ...]] = [
    ({RANGES: ALL}, {RANGES: OFFICE}),
    ({}, {f"{OWN}allow": ALL}, {f"{OWN}allow": OFFICE}),
    ({}, {f"{OWN}allow": ALL}, {f"{NGINX}whitelist-source-range": OFFICE}),
    ({}, {f"{KI}allow-list": ALL}, {f"{NGINX}whitelist-source-range": OFFICE}),
    ({}, {f"{KI}deny-list": "192.0.2.1"}, {f"{KI}deny-list": "192.0.2.2"}),
    ({}, {f"{NGINX}limit-rps": "100000"}, {f"{NGINX}limit-rps": "5"}),
    ({}, {f"{OWN}backend-tls-verify": "none"}, {f"{OWN}backend-tls-sni": "a.example"}),
    ({f"{KI}allow-list": OFFICE}, {f"{OWN}allow": ALL}),
    ({**HOSTS, f"{KI}allow-list": ALL, f"{NGINX}whitelist-source-range": OFFICE},),
    ({**HOSTS, f"{NGINX}allowlist-source-range": ALL, f"{NGINX}whitelist-source-range": OFFICE},),
    ({**HOSTS, f"{KI}allow-list": ALL, "haproxy.com/allow-list": OFFICE},),
    ({**HOSTS, f"{KI}deny-list": "192.0.2.1", f"{NGINX}denylist-source-range": "192.0.2.2"},),
]


@pytest.mark.parametrize("notes", AT_ODDS)
def test_of_two_wishes_for_protection_that_differ_none_is_left_out(
    notes: tuple[dict[str, str], ...],
) -> None:
    found = run(*notes)
    assert "differ in what protects" in str(found.refusal)
    assert "services/shop/cart" not in found.records
    accepted = run({**notes[0], **ACCEPT}, *notes[1:])
    assert accepted.refusal is None


@pytest.mark.parametrize("notes", [found for found in AT_ODDS if "allow" in str(found)])
def test_the_service_itself_decides_between_them(notes: tuple[dict[str, str], ...]) -> None:
    decided = run({**notes[0], f"{OWN}allow": "172.16.0.0/12"}, *notes[1:])
    assert record(decided).allow == ("172.16.0.0/12",)


def test_an_ingress_does_not_widen_the_source_ranges_of_its_service() -> None:
    assert "differ in what protects" in str(run({}, {f"{OWN}allow": ALL}, ranges=(OFFICE,)).refusal)
    same = run({}, {f"{OWN}allow": "10.1.2.3/32,10.0.0.0/8"}, ranges=(OFFICE, "10.1.2.3/32"))
    assert record(same).allow == ("10.1.2.3/32", OFFICE)


def test_what_one_of_them_wants_holds_for_all_hosts() -> None:
    found = record(run({}, {}, {f"{OWN}allow": OFFICE}))
    assert found.hosts == ("1.example", "2.example")
    assert found.allow == (OFFICE,)


def test_one_ingress_does_not_accept_for_another_that_it_is_open() -> None:
    login = {f"{NGINX}auth-url": "https://login.example/"}
    off = {f"{NGINX}auth-url": ""}
    for older in (ACCEPT, {**off, **ACCEPT}, off):
        found = run({}, older, login)
        assert "auth-url of Ingress shop/web-2 protects" in str(found.refusal)
    assert run(ACCEPT, off, login).refusal is None
    assert run({}, {}, {**login, **ACCEPT}).refusal is None


def test_protection_that_would_go_with_an_ingress_whose_hosts_are_not_used_refuses() -> None:
    """Else the Service, which names its hosts itself, would be open as soon as the Ingress is deleted,
    gets another class, or is not read any more."""
    tcp = {f"{OWN}mode": "tcp", f"{OWN}listen": "5432"}
    for notes in (HOSTS, {**HOSTS, f"{OWN}paths": "/x"}, tcp):
        for name in (f"{OWN}allow", f"{NGINX}whitelist-source-range"):
            found = run(notes, {name: OFFICE})
            assert f"{name} of Ingress shop/web-1 protects, and its rules are not used" in str(
                found.refusal
            )
        assert record(run({**notes, f"{OWN}allow": OFFICE}, {f"{OWN}allow": OFFICE})).allow
        assert run({**notes, **ACCEPT}, {f"{OWN}allow": OFFICE}).refusal is None


@pytest.mark.parametrize("name", ["paths", "allow", "deny", "rate-limit-exempt", "auth-users"])
@pytest.mark.parametrize("text", ["", " ", "[]", ","])
def test_an_empty_list_opens_nothing(name: str, text: str) -> None:
    """As a template writes it whose value is missing: every path, or nobody denied."""
    found = run({**HOSTS, f"{OWN}{name}": text, f"{OWN}rate-limit-requests": "5"})
    assert f"annotation {OWN}{name}" in str(found.refusal)
