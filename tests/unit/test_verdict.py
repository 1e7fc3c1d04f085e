"""The worst thing that is true decides the exit code, the colour and the words."""

import itertools
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync import verdict
from lbsync.agent.report import judgement
from lbsync.agent.report.fleet_records import record_of
from lbsync.agent.report.judgement import Serves
from lbsync.cli.parser import build_parser
from lbsync.cli.status import nagios
from lbsync.cli.status import status as command
from lbsync.errors import Exit
from lbsync.status import PROVED, Quarantined, SourceStatus, State, Status
from lbsync.verdict import Degree, Fact

ROOT = Path(__file__).resolve().parents[2]
WELL = Status("confirmed", "lb-1", 1, "", written_at=1.0, digest="abc", verified_at=2e9)
SERVES = Serves(True, "HAProxy", agrees=True, description="lbsync abc")
BAD = Quarantined("services/a/b", "mode: required, but missing", "a/b")


def status(**changes: object) -> Status:
    return msgspec.structs.replace(WELL, **changes)


def code(found: Status, doubt: str = "", serves: Serves = SERVES) -> Exit:
    return verdict.code_of(judgement.judge(found, doubt, serves))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Exit.OK),
        ({"state": "waiting", "waits": "splay"}, Exit.OK),
        ({"state": "rolled-back"}, Exit.OK),
        ({"draining": "kernel"}, Exit.OK),
        ({"by_hand": ("be_a/one: weight is 3",)}, Exit.OK),
        ({"quarantined": (BAD,), "error": "services/a/b: mode"}, Exit.REJECTED),
        ({"quarantined": (Quarantined("", "certificate x is left out"),)}, Exit.REJECTED),
        ({"state": "held", "held": "removal held", "hold_id": "1"}, Exit.REJECTED),
        ({"error": "/etc/x: its reload command failed"}, Exit.REJECTED),
        ({"state": "stale"}, Exit.UNAVAILABLE),
        ({"state": "rolled-back", "source": SourceStatus(False, "away", 0.0)}, Exit.UNAVAILABLE),
        ({"refused_settings": "agent.debounce", "error": "agent.debounce"}, Exit.SETTINGS),
        ({"refused_settings": "x", "quarantined": (BAD,)}, Exit.SETTINGS),
        ({"state": "failing", "error": "no"}, Exit.FAILED),
        ({"state": "starting", "digest": ""}, Exit.UNVERIFIED),
        ({"state": "unconfirmed"}, Exit.UNAVAILABLE),
    ],
)
def test_a_host_ends_with_the_gravest_of_what_is_so(
    changes: dict[str, object], expected: Exit
) -> None:
    assert code(status(**changes)) is expected
    # What the fleet is told of the host leads to the same, as far as it is told there.
    if "source" not in changes and expected is not Exit.OK:
        told = record_of(status(**changes))
        if changes.get("quarantined") != (Quarantined("", "certificate x is left out"),):
            assert verdict.code_of(verdict.of_record(told)) is expected


@given(
    st.fixed_dictionaries(
        {
            "state": st.sampled_from(get_args(State)),
            "error": st.sampled_from(["", "no"]),
            "refused_settings": st.sampled_from(["", "agent.debounce"]),
            "held": st.sampled_from(["", "a removal"]),
            "draining": st.sampled_from(["", "kernel"]),
            "by_hand": st.sampled_from([(), ("be_a/one: weight is 3",)]),
            "waits": st.sampled_from(["", "splay"]),
            "unanswered": st.sampled_from(["", "port in use"]),
            "certificates": st.sampled_from(
                [{}, {"a.pem": 2e9 + 5}, {"a.pem": 1e9}, {"a.pem": 9e9}]
            ),
        }
    ),
    st.booleans(),
)
def test_the_fleet_says_of_a_host_what_the_host_says_of_itself(
    changes: dict[str, object], is_refused: bool
) -> None:
    """No exit code and no colour is better where one looks from afar."""
    more = {"quarantined": (BAD,), "error": "services/a/b: mode"} if is_refused else {}
    found = status(written_at=2e9, **changes | more)
    near, far = list(verdict.of_status(found)), list(verdict.of_record(record_of(found)))
    assert verdict.code_of(near) == verdict.code_of(far)
    assert verdict.degree_of(near) == verdict.degree_of(far)


@pytest.mark.parametrize("word", ["", "fine", "\x1b[2J", "Confirmed"])
def test_a_host_in_a_state_that_nobody_knows_is_not_well(word: str) -> None:
    record = msgspec.structs.replace(record_of(WELL), state=word)
    assert verdict.degree_of(verdict.of_record(record)) is Degree.UNKNOWN
    assert verdict.code_of(verdict.of_record(record)) is Exit.UNAVAILABLE


@pytest.mark.parametrize("at", ["", "soon", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z"])
def test_odd_dates_of_certificates_say_nothing(at: str) -> None:
    record = msgspec.structs.replace(record_of(WELL), certificates={"a.pem": at})
    assert list(verdict.of_record(record)) == []


def test_what_haproxy_says_itself_is_graver_than_the_word_of_the_agent() -> None:
    other = Serves(True, "HAProxy", agrees=False, description="another")
    assert code(WELL, serves=other) is Exit.APPLY_FAILED
    assert code(WELL, serves=Serves(False, "no answer")) is Exit.UNAVAILABLE
    assert code(WELL, doubt="the agent is gone", serves=other) is Exit.APPLY_FAILED
    assert code(WELL, doubt="the agent is gone") is Exit.UNAVAILABLE


def test_who_may_not_ask_haproxy_believes_an_agent_that_has_just_asked() -> None:
    closed = Serves(False, "Permission denied", closed=True)
    assert code(status(verified_at=2e9, every=30.0), serves=closed) is Exit.OK
    assert code(status(verified_at=1.0, every=30.0), serves=closed) is Exit.UNAVAILABLE


def test_every_state_that_is_not_proved_is_more_than_nothing() -> None:
    for state in ("starting", "failing", "unconfirmed", "stale"):
        assert code(status(state=state)) is not Exit.OK
    assert {"starting", "failing", "unconfirmed"}.isdisjoint(PROVED)


@given(st.lists(st.sampled_from(list(Fact)), max_size=6))
def test_no_second_finding_hides_a_first(facts: list[Fact]) -> None:
    findings = [verdict.Finding(fact, "") for fact in facts]
    ended = verdict.GRAVITY.index(verdict.code_of(findings))
    assert all(ended <= verdict.GRAVITY.index(fact.code) for fact in facts)
    degree = verdict.degree_of(findings)
    assert degree is Degree.CRITICAL or Degree.CRITICAL not in {fact.degree for fact in facts}
    if any(fact.degree for fact in facts):
        assert degree is not Degree.OK


def test_the_order_knows_every_code() -> None:
    assert sorted(verdict.GRAVITY) == sorted(Exit)
    for first, second in itertools.pairwise(verdict.GRAVITY):
        assert verdict.gravest((second, first)) is first


def test_the_documentation_and_the_help_have_the_same_table() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for fact in Fact:
        assert f"| {fact.code.value} | {fact.degree.name} | {fact.meaning} |" in rows
    parser = build_parser()
    parser.parse_args(["status"])
    assert verdict.table() in command._EPILOG


@given(st.text(max_size=40), st.text(max_size=40))
def test_monitoring_gets_one_line_whatever_is_said(reason: str, error: str) -> None:
    found = status(quarantined=(Quarantined(reason, error),), error=error)
    findings = list(judgement.judge(found, "", SERVES))
    text = nagios.line(findings, "well", nagios.figures(found, 2e9))
    assert text.startswith("LBSYNC WARNING - quarantined: ")
    assert len(text.splitlines()) == 1
    assert text.count("|") == 1
    assert "quarantined=1 " in text.partition("|")[2]
