"""Certificates that come, go and are renewed while HAProxy serves."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.certificates import Authority
from lbsync.agent.runtime.changes.certificates import fingerprint
from lbsync.agent.runtime.changes.steps import CertificatePart, ListCertificate, SetCertificate
from lbsync.agent.runtime.drift import compare, healing
from lbsync.agent.runtime.execute import Deviated
from lbsync.agent.runtime.observe import observe
from tests.runtime_bed import Bed, Spot, World

Beds = Callable[..., Bed]


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """Return names to certificate and key; three are for one name."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    found = {}
    for name, subject in {"a": "a", "b": "b", "c": "c", "new-b": "b", "third-b": "b"}.items():
        certificate, key = authority.sign(f"{subject}.test")
        found[name] = (certificate.read_text(), key.read_text())
    return found


def served(bed: Bed, name: str) -> str:
    """Return the fingerprint of what a client gets that asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", bed.place.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return fingerprint(ssl.DER_cert_to_PEM_cert(der).encode())


def a_world(pems: dict[str, tuple[str, str]]) -> World:
    world = World({"be_a": {"s1": Spot()}}, tls=" ssl crt-list certs.list")
    world.files |= {
        "certs.list": "certs/a.pem\ncerts/b.pem [alpn h2,http/1.1] b.test *.b.test\n",
        "certs/a.pem": "\n\n".join(pems["a"]),
        "certs/b.pem": pems["b"][0],
        "certs/b.pem.key": pems["b"][1],
    }
    return world


def agrees(bed: Bed) -> None:
    names = bed.can.has("show ssl sni")
    assert compare(bed.running, observe(bed.worker, bed.running, names=names), bed.can) == []


@pytest.mark.parametrize("master", [False, True])
def test_certificates_come_are_renewed_and_go(
    beds: Beds, pems: dict[str, tuple[str, str]], master: bool
) -> None:
    mine = {name: fingerprint(certificate.encode()) for name, (certificate, _) in pems.items()}
    world = a_world(pems)
    bed = beds(world, master=master)
    agrees(bed)
    assert [served(bed, name) for name in ("b.test", "x.b.test", "c.test")] == [
        mine["b"],
        mine["b"],
        mine["a"],
    ]
    new = world.copy()
    new.files["certs/b.pem"], new.files["certs/b.pem.key"] = pems["new-b"]
    new.files["certs/c.pem"] = "".join(pems["c"])
    new.files["certs.list"] += "certs/c.pem c.test !x.c.test\n"
    bed.apply(new)
    agrees(bed)
    assert [served(bed, name) for name in ("x.b.test", "c.test", "x.c.test")] == [
        mine["new-b"],
        mine["c"],
        mine["a"],
    ]
    bed.apply(world)
    agrees(bed)
    assert [served(bed, name) for name in ("b.test", "c.test")] == [mine["b"], mine["a"]]
    bed.apply(new)
    assert served(bed, "c.test") == mine["c"], "it can come again"


def test_a_certificate_that_does_not_fit_its_key_changes_nothing(
    beds: Beds, pems: dict[str, tuple[str, str]]
) -> None:
    world = a_world(pems)
    bed = beds(world)
    for content in (pems["b"][0] + pems["a"][1], pems["new-b"][0]):
        new = world.copy()
        new.files["certs/a.pem"] = content
        new.files["certs/c.pem"] = content
        new.files["certs.list"] += "certs/c.pem\n"
        with pytest.raises(Deviated) as raised:
            bed.executor.run(bed.plan(new))
        assert isinstance(raised.value.step, (SetCertificate, ListCertificate))
        shown = bed.ask("show ssl cert")
        assert "*" not in shown, "no transaction is left open"
        assert "certs/c.pem" not in shown
        agrees(bed)
    bed.apply(world)


def test_a_certificate_longer_than_a_command_is_a_deviation_or_served_whole(
    beds: Beds, pems: dict[str, tuple[str, str]]
) -> None:
    world = a_world(pems)
    bed = beds(world)
    chain = "".join(pems["a"]) * 25
    assert len(chain) > 20_000
    world.files["certs/a.pem"] = chain
    if bed.version >= (3, 4):  # takes 128 kB
        bed.apply(world)
        agrees(bed)
        assert bed.ask("show ssl cert certs/a.pem").count("Chain Subject:") == 24
        return
    assert "too long for a command" in bed.plan(world).reasons[0]
    with pytest.raises(Deviated):
        bed.executor.run_steps([_set("certs/a.pem", chain)])
    agrees(bed)


def _set(path: str, pem: str) -> SetCertificate:
    return SetCertificate(path, (CertificatePart(path, pem),))


def test_certificates_that_were_changed_by_hand_are_put_right(
    beds: Beds, pems: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    bed = beds(a_world(pems))
    bed.executor.run_steps([_set("certs/a.pem", "".join(pems["c"]))])
    bed.ask("del ssl crt-list certs.list certs/b.pem")
    bed.ask("del ssl cert certs/b.pem")
    found = compare(bed.running, observe(bed.worker, bed.running), bed.can)
    assert [one.mismatch.where for one in found] == ["certs/a.pem", "certs/b.pem", "certs.list"]
    made = healing(found)
    assert made.reasons == ()
    bed.executor.run(made)
    agrees(bed)


def in_this_order(
    pems: dict[str, tuple[str, str]], *order: str, renewed: str = ""
) -> tuple[World, str]:
    """Return a world with several certificates for `b.test`, and which of them should answer."""
    world = World({"be_a": {"s1": Spot()}}, tls=" ssl crt-list certs.list")
    content = {"b": "b", "other": "new-b", renewed: "third-b", "a": "a"}
    for name in ("a", *order):
        world.files[f"certs/{name}.pem"] = "".join(pems[content[name]])
    world.files["certs.list"] = "".join(f"certs/{name}.pem\n" for name in ("a", *order))
    return world, fingerprint(pems[content[order[0]]][0].encode())


def test_of_several_certificates_for_a_name_the_first_answers_whatever_is_renewed(
    beds: Beds, pems: dict[str, tuple[str, str]]
) -> None:
    world, first = in_this_order(pems, "b", "other")
    bed = beds(world)
    assert served(bed, "b.test") == first
    for changed in (
        in_this_order(pems, "b", "other", renewed="b"),
        in_this_order(pems, "b", "other", renewed="other"),
        in_this_order(pems, "other", "b", renewed="other"),
        in_this_order(pems, "b", "other"),
    ):
        bed.apply(changed[0])
        assert served(bed, "b.test") == changed[1]
        agrees(bed)


def test_which_certificate_answers_for_a_name_is_read_back(
    beds: Beds, pems: dict[str, tuple[str, str]]
) -> None:
    world, first = in_this_order(pems, "b", "other")
    bed = beds(world)
    bed.executor.run_steps([_set("certs/b.pem", "".join(pems["b"]))])
    assert served(bed, "b.test") != first, "what is renewed goes behind the others"
    found = compare(
        bed.running, observe(bed.worker, bed.running, names=bed.can.has("show ssl sni")), bed.can
    )
    if not bed.can.has("show ssl sni"):
        assert found == []
        return
    assert [str(one.mismatch) for one in found] == [
        "certs.list: b.test: certificate is certs/other.pem, wanted certs/b.pem"
    ]
    bed.executor.run(healing(found))
    assert served(bed, "b.test") == first
    agrees(bed)


def test_a_certificate_that_was_taken_out_by_hand_comes_back_to_its_place(
    beds: Beds, pems: dict[str, tuple[str, str]]
) -> None:
    world, first = in_this_order(pems, "b", "other")
    bed = beds(world)
    bed.ask("del ssl crt-list certs.list certs/b.pem")
    found = compare(bed.running, observe(bed.worker, bed.running), bed.can)
    assert [one.mismatch.where for one in found] == ["certs.list"]
    bed.executor.run(healing(found))
    assert served(bed, "b.test") == first
    agrees(bed)
