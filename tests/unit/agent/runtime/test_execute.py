"""What the executor sends, and what it makes of each reply."""

import re

import pytest

from lbsync.agent.runtime.changes.change_set import Phase, PlanBuilder
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    AddServer,
    CertificatePart,
    DeleteServer,
    ReplaceEntries,
    RetireServer,
    SetCertificate,
    SetWeight,
    Step,
)
from lbsync.agent.runtime.execute import Deviated, Executor
from lbsync.clients.haproxy.sockets import BATCH_BYTES, WorkerSocket
from lbsync.errors import Unavailable

MAPS = "# id (file) description\n3 (m.map) pattern loaded curr_ver=0 next_ver=1 entry_cnt={}\n\n"


class Scripted(WorkerSocket):
    """Answers by the first pattern that a line matches, else with success."""

    def __init__(self, *script: tuple[str, str | None], prefix: str = "") -> None:
        super().__init__("/nowhere", 0.0, prefix)
        self._script = list(script)
        self.lines: list[str] = []

    def run(self, commands: list[str], payload: str = "") -> str:  # type: ignore[override]
        line = ";".join(self._prefix + command for command in commands)
        self.lines.append(line + (f" <<\n{payload}" if payload else ""))
        for pattern, answer in self._script:
            if re.search(pattern, line):
                if answer is None:
                    raise Unavailable("/nowhere: connection refused")
                return answer
        return "".join(
            "New server registered.\n\n" if command.startswith("add server") else "\n"
            for command in commands
        )


def plan_of(*steps: object, phase: Phase = Phase.ADD) -> PlanBuilder:
    draft = PlanBuilder()
    draft.do(phase, *steps)  # type: ignore[arg-type]
    return draft


ADD = AddServer("be", "s", "::1", 80, ("check", "sni", "str(a b;c\\)", "agent-check"))


def test_checks_are_enabled_before_the_server_and_values_are_one_word() -> None:
    worker = Scripted()
    Executor(worker).run(plan_of(ADD).finish())
    (line,) = worker.lines
    assert line == (
        "add server be/s [::1]:80 check sni str(a\\ b\\;c\\\\) agent-check;enable health be/s"
        ";enable agent be/s;enable server be/s"
    )
    out = AddServer("be", "s", "10.0.0.1", 80, ("check", "disabled"))
    worker = Scripted(prefix="@1 ")
    Executor(worker).run(plan_of(out).finish())
    assert worker.lines == ["@1 add server be/s 10.0.0.1:80 check disabled;@1 enable health be/s"]


def test_each_stage_is_over_before_the_next_begins() -> None:
    draft = plan_of(RetireServer("be", "old"), phase=Phase.RETIRE)
    draft.do(Phase.ADD, ADD)
    worker = Scripted(("add server", "No such backend.\n\n\n\n\n"))
    with pytest.raises(Deviated, match="add server be/s at ::1 port 80: HAProxy says 'No such b"):
        Executor(worker).run(draft.finish())
    assert len(worker.lines) == 1, "the old server still serves"


def test_lines_stay_short_and_each_reply_finds_its_step() -> None:
    steps = [SetWeight("be", f"server{number}", 5) for number in range(1000)]
    worker = Scripted(prefix="@1 ")
    Executor(worker).run(plan_of(*steps).finish())
    assert len(worker.lines) > 4
    assert max(map(len, worker.lines)) <= BATCH_BYTES
    worker = Scripted(("server0 ", "\n" * 77 + "No such server.\n" + "\n" * 23))
    with pytest.raises(Deviated) as raised:
        Executor(worker).run_steps(steps[:100])
    assert raised.value.step == steps[77]


@pytest.mark.parametrize("reply", ["\n\nNo such server.\n\n", "\n\n", "", "\n\n\nsurplus\n\n"])
def test_any_other_reply_is_a_deviation(reply: str) -> None:
    steps = [SetWeight("be", f"s{number}", 5) for number in range(3)]
    with pytest.raises(Deviated):
        Executor(Scripted(("set", reply))).run_steps(steps)


def test_a_socket_that_refuses_is_a_deviation() -> None:
    with pytest.raises(Deviated, match="connection refused"):
        Executor(Scripted(("set", None))).run_steps([SetWeight("be", "s", 5)])


def test_a_deletion_stands_alone_in_its_line() -> None:
    worker = Scripted(("del server", "Server deleted.\n"))
    Executor(worker).run_steps([DeleteServer("be", "s"), ADD])
    assert worker.lines[:2] == ["set server be/s state maint", "del server be/s"]
    assert worker.lines[2].startswith("add server")


ENTRIES = tuple((f"key{number}", "a value") for number in range(2000))
REPLACE = ReplaceEntries("map", "m.map", ENTRIES)


class Counting(Scripted):
    """Counts the lines of payloads as HAProxy counts entries; swallows the one with `lost`."""

    def __init__(self, *script: tuple[str, str | None], lost: str = "\0") -> None:
        super().__init__(*script)
        self._count = 7
        self._lost = lost

    def run(self, commands: list[str], payload: str = "") -> str:  # type: ignore[override]
        answer = super().run(commands, payload)
        if payload and self._lost not in payload:
            self._count += payload.count("\n")
        if commands[0].startswith("commit"):
            self._count -= 7
        if commands[0].startswith("prepare"):
            return "New version created: 4\n\n"
        return MAPS.format(self._count) if commands[0] == "show map" else answer


def test_a_map_is_filled_in_pieces_counted_and_put_in_force() -> None:
    worker = Counting()
    Executor(worker).run_steps([REPLACE])
    pieces = [line for line in worker.lines if line.startswith("add map @4 m.map <<\n")]
    assert len(pieces) > 2
    assert max(map(len, pieces)) < BATCH_BYTES + 100
    sent = "".join(piece.partition("<<\n")[2] for piece in pieces)
    assert sent == "".join(f"{key} {value}\n" for key, value in ENTRIES)
    assert worker.lines[-2] == "commit map @4 m.map"


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (Counting(lost="key500 "), "of 2000 entries"),
        (Counting(("add map", "too big\n")), "too big"),
        (Counting(("commit", "Version number out of range.\n\n")), "out of range"),
    ],
)
def test_a_map_that_is_not_whole_is_not_put_in_force(worker: Counting, words: str) -> None:
    with pytest.raises(Deviated, match=words):
        Executor(worker).run_steps([REPLACE])
    assert worker.lines[-1] == "clear map @4 m.map"
    committed = [line for line in worker.lines if line.startswith("commit")]
    assert len(committed) == (words == "out of range")


def test_lists_are_filled_line_by_line_and_named_as_what_they_are() -> None:
    worker = Scripted(("prepare", "New version created: 1\n\n"), ("show", MAPS.format(0)))
    with pytest.raises(Deviated, match="0 of 2 entries"):
        Executor(worker).run_steps([ReplaceEntries("acl", "m.map", (("a b", ""), ("c", "")))])
    assert worker.lines[2] == "add acl @1 m.map a\\ b;add acl @1 m.map c"
    Executor(worker).run_steps([ReplaceEntries("acl", "m.map", ())])
    with pytest.raises(Deviated, match="no map of that name"):
        Executor(worker).run_steps([ReplaceEntries("map", "other.map", ())])


def test_a_transaction_that_fails_is_not_left_open() -> None:
    parts = (CertificatePart("c.pem", "pem\n"), CertificatePart("c.pem.key", "key\n"))
    worker = Scripted(
        ("new ssl", "New empty certificate store 'c.pem'!\n\n"),
        ("set ssl cert c.pem.key", "unable to load\n\n"),
        ("set ssl", "Transaction created for certificate c.pem!\n\n"),
    )
    with pytest.raises(Deviated, match="unable to load"):
        Executor(worker).run_steps([SetCertificate("c.pem", parts, new=True)])
    assert worker.lines == [
        "new ssl cert c.pem",
        "set ssl cert c.pem <<\npem\n",
        "set ssl cert c.pem.key <<\nkey\n",
        "abort ssl cert c.pem",
        "del ssl cert c.pem",
    ]


def test_what_was_sent_before_a_payload_is_judged_before_it() -> None:
    worker = Scripted(("add map", "entry exists\n\n"))
    steps: list[Step] = [AddEntry("map", "m.map", "k", "v"), REPLACE]
    with pytest.raises(Deviated, match="entry exists"):
        Executor(worker).run_steps(steps)
    assert len(worker.lines) == 1
