"""docs/kubernetes.md names every annotation, and each example in it works."""

import re
from pathlib import Path

import pytest

from lbsync.publisher.translate import node_pool
from lbsync.publisher.translate.fields import FIELDS
from lbsync.publisher.translate.placement import PLACE_NAMES
from lbsync.publisher.translate.reader import ACCEPT
from lbsync.publisher.translate.vendors.tables import VENDORS
from tests.kube_objects import endpoint, service, slice_
from tests.publishing import translate, usual_options

TEXT = (Path(__file__).parents[3] / "docs" / "kubernetes.md").read_text()
ROW = re.compile(r"^\| `lbsync\.io/([a-z0-9-]+)` \| (.+?) \| (.+?) \| `(.+)` \|$", re.MULTILINE)
EXAMPLES = {match[1]: match[4] for match in ROW.finditer(TEXT)}

#: What must stand beside an annotation that says nothing by itself.
NEEDED = {
    "check-method": {"check-path": "/"},
    "check-status": {"check-path": "/"},
    **{f"sticky-{x}": {"sticky-cookie": "SRV"} for x in ("secure", "max-idle", "max-life")},
    "sticky-same-site": {"sticky-cookie": "SRV"},
    "hsts-preload": {"hsts-max-age": "365d", "hsts-subdomains": "true"},
    **{
        f"cors-{x}": {"cors-origins": "https://a.example"}
        for x in ("methods", "headers", "expose", "credentials", "max-age")
    },
    "preview-hosts": {"preview-networks": "10.0.0.0/8"},
    "auth-realm": {"auth-users": EXAMPLES["auth-users"]},
    "rate-limit-requests": {"rate-limit-period": "1m"},
    "rate-limit-period": {"rate-limit-requests": "5"},
    "rate-limit-status": {"rate-limit-requests": "5", "rate-limit-period": "1m"},
    "rate-limit-exempt": {"rate-limit-requests": "5", "rate-limit-period": "1m"},
    "rewrite-pattern": {"rewrite-replacement": "/"},
    "rewrite-replacement": {"rewrite-pattern": "/old/(.*)"},
    "backend-tls-ca": {"backend-tls-sni": "a.example"},
    "backend-tls-h2": {"backend-tls-verify": "none"},
    "backend-tls-verify": {"backend-tls-sni": "a.example"},
}


def test_every_annotation_has_a_row_and_every_row_an_annotation() -> None:
    known = {*FIELDS, *PLACE_NAMES, ACCEPT}
    assert known - EXAMPLES.keys() == set(), "write a row for each into docs/kubernetes.md"
    assert EXAMPLES.keys() - known == set(), "these rows are of annotations that do not exist"


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_example_of_a_row_is_accepted(name: str) -> None:
    notes = {f"lbsync.io/{name}": EXAMPLES[name]}
    if name == "listen":
        notes["lbsync.io/mode"] = "tcp"
    else:
        notes.setdefault("lbsync.io/hosts", "a.example")
    needed = NEEDED.get(name, {})
    notes |= {f"lbsync.io/{other}": text for other, text in needed.items()}
    if name.startswith("sticky"):
        notes["lbsync.io/address-mode"] = "pod"
    dual = service(annotations=notes, ip_families=("IPv4", "IPv6"))
    slices = [slice_(endpoint("10.1.0.1", "a"))]
    options = usual_options(address_mode="pod") if name == "group-label" else usual_options()
    found = translate(dual, slices, node_pool([], options), options=options)
    assert found.refusal is None
    assert found.notices == ()


def test_every_alias_that_sets_something_is_named() -> None:
    for vendor in VENDORS:
        part = TEXT[TEXT.index(f"| `{vendor.prefixes[0]}…`") :]
        part = part[: part.index("\n\n")]
        missing = [name for name in vendor.given if f"`{name}`" not in part]
        assert missing == []
