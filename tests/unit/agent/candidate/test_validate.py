"""What HAProxy says of a configuration is led back to its place, with what it cannot know added."""

from pathlib import Path

import pytest

from lbsync.agent.candidate.validate import alike, finding
from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.haproxycfg.lexer import variables
from lbsync.clients.haproxy.binary import Alert

TEXT = """\
global
    maxconn "${EDGE_MAXCONN}"
    setenv MADE 5
backend be
    server a "${HERE}:80" weight "$WEIGHT" id "${MADE}"
"""


def test_a_variable_that_only_haproxy_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGE_MAXCONN", raising=False)
    monkeypatch.setenv("HERE", "x")
    config = Parser().parse(TEXT)

    def said(line: int) -> str:
        alert = Alert("/g/1/haproxy.cfg", line, "'maxconn' expects an integer argument")
        return str(finding(alert, Path("/g/1"), config))

    assert said(2) == (
        "haproxy.cfg:2 (global): names ${EDGE_MAXCONN}, which the agent's environment does not "
        "have: set it for the agent as for HAProxy; 'maxconn' expects an integer argument"
    )
    assert "names ${WEIGHT}, which" in said(5)
    monkeypatch.setenv("EDGE_MAXCONN", "5")
    assert said(2) == "haproxy.cfg:2 (global): 'maxconn' expects an integer argument"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('bind "${A}:${B}" "$C/x"', {"A", "B", "C"}),
        ('bind "${A-80}" "\\${B}" \'${C}\' ${D} # "${E}"', set()),
        ('http-request set-header x "${A[*]}"', {"A"}),
    ],
)
def test_variables_are_told_from_text(line: str, names: set[str]) -> None:
    assert variables(line) == names


def test_a_warning_that_only_counts_other_milliseconds_is_the_same_one() -> None:
    """HAProxy 3.4 measures each time how long a password's hash takes."""
    told = [
        f"parsing [haproxy.cfg:{line}]: the hash algorithm takes {took} milliseconds"
        for line, took in ((6, 11), (6, 12), (9, 13))
    ]
    assert list(alike(told).values()) == [told]
