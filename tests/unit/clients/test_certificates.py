"""Every file in the directory of certificates is served, or named with a true reason."""

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.certificates import Certificates
from lbsync.agent.desired.quarantine import Quarantine
from lbsync.clients import x509
from lbsync.clients.certificates import CertificateDirectory
from tests.pems import DAY, certificate_pem, key_pem, pem

GOOD = pem("a.x", start=0, end=DAY)
BARE = certificate_pem("a.x", start=0, end=DAY)
KEY = key_pem()


def read(folder: Path, files: dict[str, bytes]) -> tuple[list[str], str]:
    """The names that are served, and all that is said of others."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    found, left_out = Certificates(CertificateDirectory(folder)).read(Quarantine(), frozenset())
    return [file.name for file in found], "\n".join(left_out)


@pytest.mark.parametrize(
    ("files", "served"),
    [
        ({"shop.pem.rsa": GOOD, "shop.pem.ecdsa": GOOD}, ["shop.pem.ecdsa", "shop.pem.rsa"]),
        ({"Caps.PEM": GOOD, "cer.cer": GOOD}, ["Caps.PEM", "cer.cer"]),
        ({"_.star.pem": GOOD}, ["_.star.pem"]),
        ({"split.crt": BARE, "split.key": KEY}, ["split.crt", "split.crt.key"]),
        ({"split.crt": BARE, "split.crt.key": KEY}, ["split.crt", "split.crt.key"]),
        ({"b.pem": GOOD, "b.pem.ocsp": b"x", "b.issuer": BARE},
         ["b.pem", "b.pem.issuer", "b.pem.ocsp"]),
        ({"a.pem": GOOD, "README": b"hello", ".hidden.pem": b"x"}, ["a.pem"]),
        ({"a.pem": GOOD, "a.key": KEY}, ["a.pem"]),
    ],
)  # fmt: skip
def test_it_is_served_by_whatever_name_people_give_it(
    tmp_path: Path, files: dict[str, bytes], served: list[str]
) -> None:
    (tmp_path / "archive").mkdir()
    assert read(tmp_path, files) == (served, "")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"a.pem": BARE}, "certificate a.pem: its private key is missing"),
        ({"a.pem": b"nonsense"}, "certificate a.pem: it holds no certificate in PEM: replace it"),
        ({"a.cer": ssl.PEM_cert_to_DER_cert(BARE.decode())}, "-inform der"),
        ({"a.pem": BARE, "a.pem.key": b"-----BEGIN ENCRYPTED PRIVATE KEY-----"}, "is encrypted"),
        ({"a.pem": BARE + KEY.replace(b"BEGIN PRIVATE", b"BEGIN ENCRYPTED PRIVATE")}, "encrypted"),
        ({"a b.pem": GOOD}, "a b.pem: a name has only A-Z"),
        ({"-a.pem": GOOD}, "begins with none of . and -"),
        ({"a.txt": GOOD}, "a.txt: certificates and keys are known by the ends of their names"),
        ({"a.p12": b"\x30"}, "a.p12: certificates and keys are known by"),
        ({"lonely.key": KEY}, "lonely.key: there is no certificate that it belongs to"),
        ({"big.pem": b"x" * 2_000_000}, "big.pem: no file of at most 1 MiB"),
    ],
)
def test_what_is_not_served_is_named_with_the_reason(
    tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    names, said = read(tmp_path, {**files, "z.pem": GOOD})
    assert names == ["z.pem"]
    assert reason in said


def test_the_last_good_one_stays_where_a_file_became_unfit(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(BARE[:50])
    certificates = Certificates(CertificateDirectory(tmp_path))
    (tmp_path / "b.pem").write_bytes(GOOD)
    certificates.last = tuple(CertificateDirectory(tmp_path).read()[0][1:])
    (tmp_path / "b.pem").write_bytes(GOOD[:50])
    (tmp_path / "c.pem").write_bytes(GOOD)

    files, left_out = certificates.read(Quarantine(), frozenset())

    assert [(file.name, file.data) for file in files] == [("b.pem", GOOD), ("c.pem", GOOD)]
    assert [sentence.partition(": ")[0] for sentence in left_out] == [
        "certificate a.pem",
        "certificate b.pem",
    ]
    assert left_out[1].endswith("; the last good one is served")


@given(st.binary(), st.integers(0, 400))
def test_odd_bytes_are_no_certificate_and_raise_nothing(data: bytes, at: int) -> None:
    for text in (data, GOOD[:at] + data + GOOD[at:]):
        x509.certificates(text)
        x509.objection(text, b"")


def test_a_certificate_says_its_names_and_its_end() -> None:
    (found,) = x509.certificates(pem("A.x", "*.b.x", start=DAY, end=2 * DAY))
    assert found.answers_for == {"a.x", "*.b.x", "made"}
    assert found == x509.Facts(("a.x", "*.b.x"), DAY, 2 * DAY, ("made",))
    (named,) = x509.certificates(certificate_pem(start=0, end=DAY, common="Old.Style"))
    assert named.names == ("old.style",)


def test_a_key_of_another_certificate_is_objected_to() -> None:
    assert x509.objection(GOOD, b"") == ""
    assert x509.objection(BARE, KEY) == ""
    assert x509.objection(BARE, key_pem(1)) == "key values mismatch"


def test_a_file_is_of_no_use_when_its_certificate_or_the_last_authority_has_ended(
    tmp_path: Path,
) -> None:
    chain, bundle = str(tmp_path / "chain.pem"), str(tmp_path / "ca.pem")
    old, new = (certificate_pem(start=0, end=days * DAY) for days in (3, 9))
    Path(chain).write_bytes(old + new)
    Path(bundle).write_bytes(old + new)
    (tmp_path / "empty").touch()

    found = x509.ends([chain, None, str(tmp_path / "empty"), "/nonexistent"], [bundle, None])

    assert found == {chain: 3 * DAY, bundle: 9 * DAY}
    Path(chain).write_bytes(new + old + b"\n")
    assert x509.ends([chain]) == {chain: 9 * DAY}


def rewrite(folder: Path) -> None:
    """In place, with as many bytes."""
    (folder / "a.pem").write_bytes(pem("b.x", start=0, end=DAY).ljust(len(GOOD), b"\n"))


def exchange(folder: Path) -> None:
    """Kubernetes' way: a link to a directory moves, and no entry of this one changes."""
    (folder / "..new").mkdir()
    (folder / "..new" / "linked.pem").write_bytes(pem("c.x", start=0, end=DAY))
    (folder / "..link").symlink_to("..new")
    (folder / "..link").rename(folder / "..data")


@pytest.mark.parametrize(
    "change",
    [
        rewrite,
        exchange,
        lambda folder: (folder / "a.pem").unlink(),
        lambda folder: (folder / "a.pem").rename(folder / "b.pem"),
        lambda folder: (folder / "new.pem").write_bytes(GOOD),
        lambda folder: (folder / "new.txt").write_bytes(GOOD),
        lambda folder: (folder / "a.pem").write_bytes(b"x" * 2_000_000),
    ],
)
def test_what_did_not_change_is_the_same_and_every_change_is_seen(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    (tmp_path / "a.pem").write_bytes(GOOD)
    (tmp_path / "..old").mkdir()
    (tmp_path / "..old" / "linked.pem").write_bytes(GOOD)
    (tmp_path / "..data").symlink_to("..old")
    (tmp_path / "linked.pem").symlink_to("..data/linked.pem")
    directory = CertificateDirectory(tmp_path)
    first = directory.read()
    assert directory.read()[0] is first[0]
    change(tmp_path)
    seen = directory.read()
    assert seen != first
    assert seen == CertificateDirectory(tmp_path).read()
    assert seen == directory.read()
