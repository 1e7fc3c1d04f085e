"""TLS for clients: which certificate, which protocol, and what happens as certificates come and go."""

import socket
import ssl
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.certificates import Authority
from harness.web import WebServer
from lbsync.agent.unfinished import UnfinishedPass
from tests.pems import DAY, certificate_pem, key_pem, pem
from tests.site import Site

Web = Callable[[str], WebServer]
REDIRECTS = {"left-out": {}, "yes": {"https": True}, "no": {"https": False}}


class Certificates:
    """A directory of certificates as an operator keeps it."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority(directory / "authority")
        self.directory = directory / "certs"
        self.directory.mkdir()
        self.served = 0

    def put(self, file: str, *names: str) -> None:
        """Make a new certificate for `names`; its common name counts up with each."""
        self.served += 1
        chain, key = self.authority.sign(f"made-{self.served}", names=names)
        (self.directory / file).write_bytes(chain.read_bytes() + key.read_bytes())


def served_name(site: Site, host: str) -> str:
    """Return the common name of the certificate that is shown for `host`."""
    with site.connected(tls=host) as opened:
        assert isinstance(opened, ssl.SSLSocket)
        der = opened.getpeercert(binary_form=True)
    assert der is not None
    at = der.rindex(b"made-")
    return der[at : at + der[at - 1]].decode()


@pytest.fixture(scope="module")
def certificates(
    build: Callable[..., Site], tmp_path_factory: pytest.TempPathFactory
) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("tls"))
    made.put("a.pem", "a.test", "other-a.test")
    made.put("b.pem", "*.b.test")
    made.put("c.crt", "x.b.test")
    return made


@pytest.fixture(scope="module")
def site(build: Callable[..., Site], certificates: Certificates, web: Web) -> Site:
    # One key here takes HTTPS away from all, which is held else.
    more = "[agent]\nguard_percent = 100"
    site = build(proxy=f'certificates = "{certificates.directory}"', more=more)
    for name, redirect in REDIRECTS.items():
        site.service(name, web("one"), redirect=redirect)
    site.service("bare", web("one"), redirect={"www": "strip", "https": True})
    site.service("either", web("one"), redirect={"www": "strip"})
    site.service("cookie", web("one"), redirect={"https": True}, sticky={"cookie": "S"})
    site.start()
    return site


def test_the_name_that_is_asked_for_chooses_the_certificate(site: Site) -> None:
    assert served_name(site, "a.test") == "made-1"
    assert served_name(site, "other-a.test") == "made-1"
    assert served_name(site, "y.b.test") == "made-2"
    assert served_name(site, "x.b.test") == "made-3"
    assert served_name(site, "unknown.test") == "made-1"


def test_servers_are_told_that_the_client_came_over_tls(site: Site, web: Web) -> None:
    assert site.get("no.test", tls="a.test").status == 200
    assert web("one").last_headers["x-forwarded-proto"] == "https"
    site.get("no.test", "/logged", tls="a.test")
    assert site.logged(b"/logged")["tls"].startswith("TLSv1.")


def test_over_tls_only_the_www_is_redirected(site: Site) -> None:
    assert site.get("yes.test", tls="a.test").status == 200
    answer = site.get("www.bare.test", "/x", tls="a.test")
    assert answer.location == f"https://bare.test:{site.tls_port}/x"
    assert site.get("bare.test", "/x", tls="a.test").status == 200
    answer = site.get("www.either.test:8443", "/x", tls="a.test")
    assert answer.location == "https://either.test:8443/x"


def test_cookies_of_a_service_that_redirects_are_for_tls_alone(site: Site) -> None:
    assert "; Secure" in site.get("cookie.test", tls="a.test").headers["set-cookie"]


@pytest.mark.parametrize(
    ("https", "redirected"),
    [("mixed", {"yes"}), ("only", {"yes", "left-out"})],
)
def test_the_global_setting_redirects_whoever_says_nothing_else(
    site: Site, https: str, redirected: set[str]
) -> None:
    site.put({"settings/global": {"https": https}})
    site.run_pass()
    found = {name for name in REDIRECTS if site.get(f"{name}.test").status == 302}
    assert found == redirected


def test_https_can_be_disabled_for_all(site: Site) -> None:
    site.put({"settings/global": {"https": "disabled"}})
    site.run_pass()
    with pytest.raises(OSError):
        site.get("no.test", tls="a.test")
    assert site.get("yes.test").status == 200
    site.put({"settings/global": {}})
    site.run_pass()
    assert site.get("no.test", tls="a.test").status == 200


def test_a_renewed_certificate_is_served(site: Site, certificates: Certificates) -> None:
    certificates.put("a.pem", "a.test")
    begun = site.agent.begin_pass()
    assert isinstance(begun, UnfinishedPass), "it need not wait for haproxy -c"
    assert served_name(site, "a.test") == f"made-{certificates.served}"
    assert begun.finish().changed
    assert not site.run_pass().changed


def test_certificates_come_and_go(site: Site, certificates: Certificates) -> None:
    certificates.put("new.pem", "new.test")
    site.run_pass()
    assert served_name(site, "new.test") == f"made-{certificates.served}"
    (certificates.directory / "new.pem").unlink()
    site.run_pass()
    assert served_name(site, "new.test") != f"made-{certificates.served}"


def test_a_bad_certificate_is_left_out_and_named(site: Site, certificates: Certificates) -> None:
    bad = certificates.directory / "bad.pem"
    bad.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    certificates.put("good.pem", "good.test")
    outcome = site.run_pass()
    assert "bad.pem" in outcome.error
    assert served_name(site, "good.test") == f"made-{certificates.served}"
    assert site.get("no.test", tls="a.test").status == 200
    certificates.put("bad.pem", "cured.test")
    outcome = site.run_pass()
    assert not outcome.error
    assert served_name(site, "cured.test") == f"made-{certificates.served}"


def test_of_two_for_one_name_the_valid_one_answers(site: Site, certificates: Certificates) -> None:
    now = time.time()
    old = pem("shop.test", start=now - 9 * DAY, end=now - DAY, common="made-old")
    new = pem("shop.test", "*.x.test", start=now - DAY, end=now + DAY, common="made-new")
    (certificates.directory / "shop-1.pem").write_bytes(old)
    site.run_pass()
    assert served_name(site, "shop.test") == "made-old"  # better than one of another name
    (certificates.directory / "shop-2.pem").write_bytes(new)
    assert not site.run_pass().error
    assert served_name(site, "shop.test") == "made-new"
    # A wildcard is looked for only where no certificate has the name itself.
    part = pem("own.x.test", "own.y.test", start=now - 9 * DAY, end=now - DAY, common="made-part")
    (certificates.directory / "shop-3.pem").write_bytes(part)
    assert not site.run_pass().error
    assert [served_name(site, f"own.{zone}.test") for zone in "xy"] == ["made-new", "made-part"]


def test_of_two_valid_ones_the_newer_answers_at_once(
    site: Site, certificates: Certificates
) -> None:
    now = time.time()

    def put(number: int, *names: str) -> str:
        """A certificate that began later than those before; return how the pass ended."""
        common = f"made-pair-{number}"
        text = pem(*names, start=now - (9 - number) * DAY, end=now + DAY, common=common)
        (certificates.directory / f"pair-{number}.pem").write_bytes(text)
        return site.run_pass().sentence

    put(1, "two.test", "both.test")
    assert "without a reload" in put(2, "two.test", "both.test", "more.test")
    assert {served_name(site, f"{name}.test") for name in ("two", "both", "more")} == {
        "made-pair-2"
    }
    assert "without a reload" in put(3, "two.test")
    assert [served_name(site, f"{name}.test") for name in ("two", "both", "more")] == [
        *("made-pair-3", "made-pair-2", "made-pair-2")
    ]
    # HAProxy puts the renewed one behind the others.
    assert "without a reload" in put(3, "two.test", "later.test")
    assert served_name(site, "two.test") == "made-pair-3"
    assert not site.run_pass().changed


def test_hundreds_of_bad_certificates_hold_up_nobody(
    site: Site, certificates: Certificates, web: Web
) -> None:
    now = time.time()
    bare = certificate_pem("many.test", start=now - DAY, end=now + DAY)
    for number in range(300):
        (certificates.directory / f"many-{number}.pem").write_bytes(bare + key_pem(1))
    certificates.put("zz.pem", "zz.test")
    site.service("late", web("one"))
    began = time.monotonic()
    outcome = site.run_pass()
    assert time.monotonic() - began < 60
    assert "many-0.pem" in outcome.error
    assert site.get("late.test").status == 200
    assert served_name(site, "zz.test") == f"made-{certificates.served}"
    for number in range(300):
        (certificates.directory / f"many-{number}.pem").unlink()
    assert not site.run_pass().error


def test_a_half_written_certificate_leaves_the_last_good_one(
    site: Site, certificates: Certificates
) -> None:
    certificates.put("a.pem", "a.test")
    site.run_pass()
    file = certificates.directory / "a.pem"
    good = file.read_bytes()
    file.write_bytes(good[: len(good) // 2])
    outcome = site.run_pass()
    assert "a.pem" in outcome.error
    assert "last good one is served" in outcome.error
    assert served_name(site, "a.test") == f"made-{certificates.served}"
    file.write_bytes(good)
    assert not site.run_pass().error


def test_an_emptied_directory_of_certificates_takes_nothing_away(
    site: Site, certificates: Certificates
) -> None:
    kept = {path: path.read_bytes() for path in certificates.directory.iterdir()}
    name = served_name(site, "a.test")
    for path in kept:
        path.unlink()
    outcome = site.run_pass()
    assert "there is none left" in outcome.error
    assert served_name(site, "a.test") == name
    for path, data in kept.items():
        path.write_bytes(data)
    assert not site.run_pass().error


def test_old_versions_of_tls_are_refused(site: Site) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):  # Python's own opinion of what is tried here
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", site.tls_port), 30) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="a.test")


def test_the_proxy_protocol_comes_before_tls_from_listed_networks_alone(
    build: Callable[..., Site], certificates: Certificates, web: Web
) -> None:
    lines = f'accept_proxy = ["127.0.0.1"]\ncertificates = "{certificates.directory}"'
    site = build(proxy=lines)
    site.service("page", web("one"), allow=["203.0.113.0/24"])
    site.start()
    told = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n"
    assert site.get("page.test", tls="a.test", before=told).status == 200
    assert site.get("page.test", tls="a.test", client="127.0.0.2").status == 403
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.get("page.test", tls="a.test", client="127.0.0.2", before=told)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.get("page.test", tls="a.test")
    assert site.get("page.test", "/lbsync-health", client="127.0.0.2").status == 200
    assert site.get("page.test", "/lbsync-health", before=b"PROXY UNKNOWN\r\n").status == 200


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def test_http_2_is_spoken_with_those_who_ask_for_it(site: Site) -> None:
    """A hand-written request: HPACK's static table (RFC 7541, appendix A) is enough for it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    authority = b"no.test"
    headers = b"\x82\x84\x87" + b"\x01" + bytes([len(authority)]) + authority
    with (
        socket.create_connection(("127.0.0.1", site.tls_port), 30) as plain,
        context.wrap_socket(plain, server_hostname="a.test") as opened,
    ):
        assert opened.selected_alpn_protocol() == "h2"
        opened.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b""))
        opened.sendall(h2_frame(1, 5, 1, headers))
        stream = opened.makefile("rb")
        while True:
            head = stream.read(9)
            payload = stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == 1:  # HEADERS, and index 8 of the table is ":status: 200"
                assert payload[0] == 0x88
                break
        stream.close()
