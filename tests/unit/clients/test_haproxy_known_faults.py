"""Which releases are named, and what is left undone there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.haproxy import known_faults
from lbsync.clients.haproxy.known_faults import Version


@pytest.mark.parametrize(
    ("version", "servers", "maps"),
    [
        ((2, 6, 12), False, False),
        ((2, 8, 25), False, False),
        ((3, 0, 11), False, False),
        ((3, 2, 0), True, True),
        ((3, 2, 4), True, True),
        ((3, 2, 5), True, False),
        ((3, 2, 18), True, False),
        ((3, 2, 19), False, False),
        ((3, 2, 26), False, False),
        ((3, 3, 0), True, False),
        ((3, 4, 7), False, False),
    ],
)
def test_what_a_release_cannot_bear_is_known(version: Version, servers: bool, maps: bool) -> None:
    found = known_faults.of(version)
    assert any(fault.servers for fault in found) is servers
    assert any(fault.maps for fault in found) is maps


def test_a_release_deaf_to_signals_is_named_to_those_who_send_them() -> None:
    for patch, named in ((8, False), (9, True), (10, True), (11, False)):
        told = known_faults.sentences(f"3.2.{patch}", by_signal=True)
        assert any("signal" in sentence for sentence in told) is named
        assert not any(
            "signal" in s for s in known_faults.sentences(f"3.2.{patch}", by_signal=False)
        )


@pytest.mark.parametrize(
    ("version", "named"),
    [("3.0.11", False), ("3.1.0", True), ("3.2.19", True), ("3.2.20", False), ("3.4.0", False)],
)
def test_a_word_without_effect_is_told_to_those_who_use_it(version: str, *, named: bool) -> None:
    using = known_faults.sentences(version, by_signal=False, config=" server s :80 init-state down")
    assert any("init-state" in sentence for sentence in using) is named
    assert not any("init-state" in s for s in known_faults.sentences(version, by_signal=False))


def test_a_good_release_is_not_spoken_of() -> None:
    assert known_faults.sentences("3.2.26-1", by_signal=True, config="init-state") == ()
    assert "3.2.22" in known_faults.sentences("3.2.20", by_signal=False)[0]
    assert "3.4.3" in known_faults.sentences("3.4.0", by_signal=False)[0]


@given(st.text())
def test_no_text_is_a_fault(text: str) -> None:
    known_faults.parsed(text)
    known_faults.sentences(text, by_signal=True, config=text)


def test_a_version_is_read_as_it_is_told() -> None:
    assert known_faults.parsed("3.2.4-1+deb13u1") == (3, 2, 4)
    assert known_faults.parsed("2.6") == (2, 6, 0)
    assert known_faults.parsed("") is None
