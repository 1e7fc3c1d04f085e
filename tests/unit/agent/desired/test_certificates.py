"""Of several certificates for one name the one answers that is right."""

import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.certificates import Certificates, leftovers, ranks
from lbsync.agent.desired.quarantine import Quarantine
from lbsync.clients.certificates import CertificateDirectory
from lbsync.clients.x509 import Facts
from tests.pems import DAY, pem

NOW = 1000.0
NAMES = ["a.x", "b.x", "*.x", "c.y"]
facts = st.builds(
    Facts,
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple),
    not_before=st.sampled_from([0.0, 500.0, 900.0, 2000.0]),
    not_after=st.sampled_from([600.0, 1500.0, 3000.0]),
)


@given(st.dictionaries(st.sampled_from("abcdef"), facts))
def test_for_each_name_the_newest_valid_certificate_stands_first(found: dict[str, Facts]) -> None:
    places = ranks(found, NOW)
    order = sorted((place, name) for name, place in places.items() if place is not None)

    for dns in NAMES:
        with_it = [found[name] for _, name in order if dns in found[name].names]
        valid = [each for each in found.values() if dns in each.names and each.valid(NOW)]
        if valid:
            assert with_it[0].valid(NOW)
            assert with_it[0].not_before == max(each.not_before for each in valid)
        elif any(dns in each.names for each in found.values()):
            wildcard = f"*.{dns.partition('.')[2]}"
            is_covered = any(wildcard in f.names and f.valid(NOW) for f in found.values())
            assert with_it or is_covered


@given(st.dictionaries(st.sampled_from("abcdef"), facts))
def test_no_name_is_answered_by_an_expired_certificate_where_a_valid_one_has_it(
    found: dict[str, Facts],
) -> None:
    """HAProxy looks for the name itself first, then for the wildcard; of several the first in the list answers."""
    places, left = ranks(found, NOW), leftovers(found, NOW)
    order = [name for _, name in sorted((place, name) for name, place in places.items() if place)]
    for dns in ("a.x", "b.x", "c.x", "c.y"):
        asked = (dns, f"*.{dns.partition('.')[2]}")
        told = (
            found[name]
            for each in asked
            for name in order
            if each in (left.get(name) or found[name].names)
        )
        if any(each in found[n].names and found[n].valid(NOW) for n in found for each in asked):
            assert next(told).valid(NOW)
        elif any(dns in found[name].names for name in found):
            assert next(told, None) is not None


def test_a_list_holds_no_common_name_that_is_no_host() -> None:
    valid = Facts(("*.x",), 0.0, 2000.0)
    old = Facts(("a.x", "b.y"), 0.0, 500.0, ("Our [shop] # *", "c.z"))
    assert leftovers({"old": old, "valid": valid}, NOW) == {"old": ("b.y", "c.z")}


def test_certificates_that_share_no_name_stay_in_the_order_of_their_names() -> None:
    found = {name: Facts((f"{name}.x",), float(ord(name)), 2000.0) for name in "bca"}
    places = ranks(found, NOW)
    assert sorted(found, key=lambda name: places[name] or (9, "", 0.0)) == ["a", "b", "c"]


def test_what_is_expired_and_not_needed_is_left_out_and_told(tmp_path: Path) -> None:
    now = time.time()
    old = pem("shop.x", "www.shop.x", start=now - 9 * DAY, end=now - DAY)
    (tmp_path / "2019-shop.pem").write_bytes(old)
    (tmp_path / "2030-shop.pem").write_bytes(
        pem("shop.x", "*.shop.x", start=now - DAY, end=now + 9 * DAY)
    )
    (tmp_path / "z-gone.pem").write_bytes(pem("gone.x", start=now - 9 * DAY, end=now - DAY))
    (tmp_path / "a-later.pem").write_bytes(pem("l.x", start=now + DAY, end=now + 2 * DAY))
    certificates = Certificates(CertificateDirectory(tmp_path))

    files, left_out = certificates.read(Quarantine(), frozenset())

    assert [file.name for file in files] == ["2030-shop.pem", "a-later.pem", "z-gone.pem"]
    assert left_out == []
    assert certificates.ends[str(tmp_path / "2019-shop.pem")] == int(now - DAY)
    assert len(certificates.ends) == 4
