"""Each problem is said once, and its end too."""

import structlog

from lbsync.agent.report.problem_log import ProblemLog
from lbsync.model.desired import Problem


def said(spoken: ProblemLog, *problems: Problem) -> list[str]:
    with structlog.testing.capture_logs() as lines:
        spoken.update(problems)
    return [line["event"] for line in lines]


def test_a_problem_is_said_when_it_is_new_and_when_it_is_cured() -> None:
    one, two = Problem("services/a/b", "a/b", "wrong"), Problem("services/c/d", "c/d", "odd")
    spoken = ProblemLog()
    assert said(spoken, one) == ["services/a/b: wrong"]
    assert said(spoken, one, two) == ["services/c/d: odd"]
    assert said(spoken, two) == ["services/a/b: in order again"]
    assert said(spoken) == ["services/c/d: in order again"]


def test_a_store_full_of_garbage_is_a_few_lines() -> None:
    many = [Problem(f"services/a/{n}", "", "wrong") for n in range(1000)]
    lines = said(ProblemLog(), *many)
    assert len(lines) == 21
    assert lines[-1].startswith("and 980 more")
