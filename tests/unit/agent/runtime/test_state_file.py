"""Which states outlive a reload."""

import pytest

from lbsync.agent.runtime.model import Running
from lbsync.agent.runtime.state_file import rows
from lbsync.agent.runtime.steps import RetireServer, SetWeight
from lbsync.agent.sections import Parser

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr\n"


def row(
    address: str = "10.0.0.1", *, op: int = 2, admin: int = 0, weight: int = 1, base: int = 1,
    port: int = 80,
) -> str:  # fmt: skip
    return f"3 be 1 s {address} {op} {admin} {weight} {base} 9 8 2 0 6 0 0 0 - {port} - 0 0 - - 0"


def kept(line: str, old: str | None, new: str, *steps: object) -> str:
    known = None
    if old is not None:
        known = Running(Parser().parse(f"backend be\n{old}\n"), {})
        known.adopt_steps(steps)  # type: ignore[arg-type]
    text = rows(f"{HEAD}{line}\n\n", known, Parser().parse(f"backend be\n{new}\n"))
    assert text.startswith(HEAD)
    return text.removeprefix(HEAD).rstrip("\n")


S = " server s 10.0.0.1:80 check"


@pytest.mark.parametrize(
    "new",
    [
        " server s 10.0.0.2:80 check",
        " server s 10.0.0.1:81 check",
        " server t 10.0.0.1:80 check",
        " server s app.test:80 check",
        " server s 10.0.0.1 check",
        S + " disabled",
        "",
    ],
)
def test_a_server_that_is_another_now_begins_anew(new: str) -> None:
    assert kept(row(), S, new) == ""
    assert kept(row(), None, new) == ""


def test_health_is_kept_where_something_will_notice_a_recovery() -> None:
    down = row(op=0)
    assert kept(down, S, S) == down
    assert kept(down, S, " server s 10.0.0.1:80") == "", "it would be down for ever"
    assert kept(row(), S, " server s 10.0.0.1:80") == row()
    inherited = " default-server check\n server s 10.0.0.1:80"
    assert kept(down, S, inherited) == down


def test_one_address_may_be_written_in_many_ways() -> None:
    same = " server s [0::0:1]:80 check"
    assert kept(row("::1"), same, same) == row("::1")


@pytest.mark.parametrize("admin", [1, 8])
def test_what_a_person_set_stays(admin: int) -> None:
    by_hand = row(op=0 if admin == 1 else 2, admin=admin)
    assert kept(by_hand, S, S) == by_hand
    assert kept(by_hand, None, S) == by_hand
    assert kept(row(op=0, admin=9), S, S) == row(op=0, admin=1), "HAProxy reads no two at once"


def test_what_the_configuration_asked_for_is_asked_for_anew() -> None:
    ours = row(op=0, admin=1)
    assert kept(ours, S + " disabled", S) == "", "the maintenance was that of the old one"
    assert kept(row(op=0, admin=5), None, S) == "", "even where nobody remembers that"
    drained = row(admin=8)
    assert kept(drained, "", S, RetireServer("be", "s")) == "", "it was on its way out"
    readied = row(admin=4)
    assert kept(readied, S, S) == row(admin=0)


def test_a_weight_is_that_of_the_configuration_unless_a_person_set_it() -> None:
    assert kept(row(weight=7, base=1), S + " weight 7", S + " weight 9") == row(weight=9, base=9)
    assert kept(row(weight=7, base=5), S + " weight 7", S + " weight 5") == row(weight=5, base=5)
    by_hand = row(weight=3, base=5)
    assert kept(by_hand, S + " weight 5", S + " weight 5") == by_hand
    assert kept(by_hand, S + " weight 5", S + " weight 6") == row(weight=6, base=6)
    lost = (SetWeight("be", "s", 5),)
    assert kept(by_hand, S + " weight 5", S + " weight 5", *lost) == row(weight=5, base=5)
    assert kept(by_hand, None, S + " weight 5") == row(weight=5, base=5)


@pytest.mark.parametrize("answer", ["", "1\n", "nonsense", "a\nb\nc d\n", f"{HEAD}3 be 1 s x\n"])
def test_an_odd_answer_keeps_nothing(answer: str) -> None:
    assert " be " not in rows(answer, None, Parser().parse(f"backend be\n{S}\n"))
