"""How waiting is asked for, and how its end is told."""

import pytest

from lbsync.cli.fleet.wait import Ended
from lbsync.cli.parser import parse
from lbsync.errors import Exit


def test_hosts_are_a_list_and_their_case_does_not_matter() -> None:
    assert parse(["wait", "--hosts", "LB-1, lb-2,lb-1"]).hosts == ("lb-1", "lb-2")


@pytest.mark.parametrize(
    "words",
    [
        ("--hosts", "lb-1,,lb-2"),
        ("--hosts", "a b"),
        ("--revision", "0"),
        ("--revision", "-3"),
        ("--revision", "²"),
        ("--revision", "9" * 30),
        ("--timeout", "60"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["wait", *words])
    assert ended.value.code == Exit.USAGE
    assert words[0] in capsys.readouterr().err


def test_the_missing_are_named_with_what_is_in_the_way() -> None:
    ended = Ended(9, ("lb-1",), {"lb-2": "at revision 7, failing: disk full"}, {}, "1m")
    assert ended.code == Exit.UNVERIFIED
    assert str(ended).splitlines() == [
        "revision 9 is not verified after 1m, missing 1 of 2:",
        "  lb-2: at revision 7, failing: disk full",
        "verified by 1 host: lb-1",
    ]


def test_a_service_that_is_held_back_is_no_success() -> None:
    ended = Ended(9, ("lb-1", "lb-2"), {}, {"shop/a": "mode: wrong (says lb-1)"}, "1m")
    assert ended.code == Exit.REJECTED
    assert str(ended).splitlines() == [
        "revision 9 is verified by 2 hosts: lb-1, lb-2",
        "shop/a is quarantined: mode: wrong (says lb-1)",
    ]


def test_without_any_agent_nothing_is_verified() -> None:
    ended = Ended(9, (), {}, {}, "1m")
    assert ended.code == Exit.UNVERIFIED
    assert "no agent reports" in str(ended)
