"""Values of policies: what is taken, what it becomes, and what is refused with which cure."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.values.http import HeaderName
from lbsync.values.names import Address, Age
from lbsync.values.policies import (
    Certificates,
    Method,
    Origin,
    PasswordHash,
    Realm,
    UserName,
)
from lbsync.values.rewriting import PathPattern, PathTarget, StripPaths
from tests.contract_strategies import NEAR, PEM

HASH = "$6$abcdefgh$" + "a" * 86


@pytest.mark.parametrize(
    ("kind", "given", "becomes"),
    [
        (Origin, "HTTPS://App.Example.com", "https://app.example.com"),
        (Origin, "https://a.example.com:443", "https://a.example.com"),
        (Origin, "http://a.example.com:443", "http://a.example.com:443"),
        (Origin, "https://*.example.com:8443", "https://*.example.com:8443"),
        (Origin, "http://localhost:3000", "http://localhost:3000"),
        (Origin, "*", "*"),
        (Method, "patch", "PATCH"),
        (PasswordHash, HASH, HASH),
        (PasswordHash, HASH.replace("$6$", "$6$rounds=10000$"), HASH.replace("$6$", "$6$rounds=10000$")),
        (UserName, "bob@example.com", "bob@example.com"),
        (Realm, "Shop (staff): it's ours", "Shop (staff): it's ours"),
        (HeaderName, "X-Real-IP", "X-Real-IP"),
        (Address, "DB.Example.com.", "db.example.com"),
        (Address, "FD00:0::7", "fd00::7"),
        (StripPaths, "/api/", ("/api",)),
        (StripPaths, ["/a", "/a/b", "/a/"], ("/a/b", "/a")),
        (PathTarget, r"/u/\2/100%", r"/u/\2/100%"),
    ],
)  # fmt: skip
def test_a_value_is_taken_in_one_form(kind: type, given: object, becomes: object) -> None:
    found = kind.parse(given)  # type: ignore[attr-defined]
    assert found == becomes
    assert kind.parse(found) == found  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (Origin, "app.example.com", "is no origin"),
        (Origin, "https://app.example.com/", "is no origin"),
        (Origin, "https://app.example.com:0", "port that does not exist"),
        (Origin, "https://*", "is no"),
        (Origin, "null", "is no origin"),
        (Origin, "ftp://a.example", "is no origin"),
        (Method, "GET,PUT", "is no method"),
        (PasswordHash, "secret", "mkpasswd"),
        (PasswordHash, "$2b$12$" + "a" * 53, "mkpasswd"),
        (PasswordHash, HASH.replace("$6$", "$6$rounds=656000$"), "656000 rounds"),
        (PasswordHash, HASH.replace("$6$", "$6$rounds=999$"), "999 rounds"),
        (UserName, "a:b", "is no user's name"),
        (Realm, 'a"b', "is no realm"),
        (Realm, "100%", "is no realm"),
        (HeaderName, "Transfer-Encoding", "belongs to the connection"),
        (Address, "localhost", "no whole DNS name"),
        (Address, "db.example.com:80", "no whole DNS name"),
        (Address, "1.2.3", "no whole DNS name"),
        (Address, "a.1b", "no whole DNS name"),
        (Age, "500ms", "is no age"),
        (Age, "731d", "longer than two years"),
        (StripPaths, "/", "nothing to take off"),
        (StripPaths, [], "write one path"),
        (StripPaths, ["/a", 1], "is a string"),
        (PathTarget, r"\1", "begins with /"),
        (PathTarget, r"/\0", "is no replacement"),
        (PathTarget, "/a b", "is no replacement"),
        (Certificates, "nonsense", "no PEM"),
        (Certificates, "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "no certificate"),
        (Certificates, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "no PEM"),
        (Certificates, "-----BEGIN CERTIFICATE-----\nM\n-----END CERTIFICATE-----\n", "no base64"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(kind: type, given: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        kind.parse(given)  # type: ignore[attr-defined]


def test_a_refused_password_is_not_shown() -> None:
    with pytest.raises(ValueError) as refused:
        PasswordHash.parse("my secret password")
    assert "secret password" not in str(refused.value)


def test_what_openssl_prints_is_a_hash() -> None:
    made = subprocess.run(
        ["openssl", "passwd", "-6", "x"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert PasswordHash.parse(made) == made


def test_certificates_are_rewritten_in_one_form_and_named_by_their_content() -> None:
    pem = Certificates.parse(PEM)
    padded = "\n\n" + pem.replace("\n", "\r\n") + "  " + pem
    assert Certificates.parse(padded) == pem + pem
    assert Certificates.parse(padded).path != pem.path
    assert pem.path.startswith("ca/")


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+", "(a|b)*", "a**", "a+?", "a++", "((a))", "(?=a)", "(?P<n>a)", r"(a)\1", "[[:alpha:]]",
     "a b", "a#b", "a|b", "", "a" * 201, r"\x41", "a{1,", "(a", "a)", "[a", "a\n", "é"],
)  # fmt: skip
def test_more_than_a_plain_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        PathPattern.parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "anchored", "groups"),
    [
        ("/users/([0-9]+)/(.*)", "^/users/([0-9]+)/(.*)$", 2),
        ("^/a$", "^/a$", 0),
        (r"/a\$", r"^/a\$$", 0),
        (r"(?:a|b)(c)?[)(]", r"^(?:a|b)(c)?[)(]$", 1),
        (r"/\(x\){2,3}", r"^/\(x\){2,3}$", 0),
    ],
)
def test_a_pattern_is_for_the_whole_path(pattern: str, anchored: str, groups: int) -> None:
    found = PathPattern.parse(pattern)
    assert (found.anchored, found.groups) == (anchored, groups)


@pytest.mark.parametrize("kind", NEAR, ids=lambda kind: kind.__name__)
def test_any_text_is_refused_with_a_sentence_or_stays_as_it_was_taken(kind: type) -> None:
    @given(NEAR[kind] | st.text(max_size=20))
    def check(text: str) -> None:
        try:
            found = kind.parse(text)  # type: ignore[attr-defined]
        except ValueError as error:
            assert str(error)
            return
        again = str(found) if isinstance(found, int) else found
        assert kind.parse(again) == found  # type: ignore[attr-defined]

    check()


def test_a_long_gap_in_certificates_costs_the_other_services_nothing() -> None:
    """It took the square of its length to begin with, then the cube: hours for the most there may be."""
    gap = "-----BEGIN CERTIFICATE-----" + " " * 250_000
    with pytest.raises(ValueError, match="no PEM"):
        Certificates.parse(gap)
    with pytest.raises(ValueError, match="no PEM"):
        Certificates.parse(gap + "A!")
