"""Namespaces that cannot be read: told once, and in few lines however many there are."""

import structlog

from lbsync.publisher.report.unread import Unread

REFUSED = "list services in namespace x: services is forbidden; allow it"


def test_many_namespaces_that_are_refused_at_once_are_a_few_lines() -> None:
    unread = Unread(None)
    found = {f"n{number:02}": REFUSED for number in range(50)}
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            unread.tell(found)
        unread.tell({})
    said = [str(line["event"]) for line in logs]
    assert len(said) == 5
    assert said[3] == "47 more namespaces are not read: n03, n04, n05 and 44 more"
    assert said[4] == "50 namespaces are read again"


def test_one_namespace_has_its_own_line_and_is_told_once() -> None:
    unread = Unread(None)
    with structlog.testing.capture_logs() as logs:
        for found in ({"bank": REFUSED}, {"bank": REFUSED}, {}):
            unread.tell(found)
    assert [line["namespace"] for line in logs] == ["bank", "bank"]
