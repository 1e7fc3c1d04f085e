"""Which states outlive a reload."""

import pytest

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.steps import RetireServer, SetWeight
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.state_file import rows

HEAD = "1\n# be_id be_name srv_id srv_name srv_addr\n"


def row(
    address: str = "10.0.0.1", *, op: int = 2, admin: int = 0, weight: int = 1, base: int = 1,
    port: int = 80,
) -> str:  # fmt: skip
    return f"3 be 1 s {address} {op} {admin} {weight} {base} 9 8 2 0 6 0 0 0 - {port} -"


ASIDE = " 1 9 10.0.0.9 10.0.0.9 9"
"""TLS, and where checks go: those of the configuration hold."""


def kept(line: str, old: str | None, new: str, *steps: object) -> str:
    known = None
    if old is not None:
        known = RuntimeConfig(Parser().parse(f"backend be\n{old}\n"), {})
        known.adopt_steps(steps)  # type: ignore[arg-type]
    told = "".join(f"{each}{ASIDE}\n" for each in line.split("\n"))
    text = rows(f"{HEAD}{told}\n", known, Parser().parse(f"backend be\n{new}\n"))
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
    stopping = row(op=3)
    assert kept(stopping, S, S) == stopping
    for one in (down, stopping):
        assert kept(one, S, " server s 10.0.0.1:80") == "", "it would be so for ever"
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


CHECKED = " server s 10.0.0.1:80 check downinter 250ms"
NEXT = f"{CHECKED}\n server t 10.0.0.2:81 weight 7 check downinter 250ms"


def new_row(op: int = 3, health: int = 3) -> str:
    """One good check brings it up: HAProxy calls that stopping."""
    return f"3 be 0 t - {op} 0 7 7 0 1 0 {health} 6 0 0 0 - 81 -"


def test_a_server_that_comes_with_a_reload_does_not_begin_as_up_while_another_one_serves() -> None:
    assert kept(row(), CHECKED, NEXT) == f"{row()}\n{new_row()}"
    assert kept(row(), None, NEXT) == f"{row()}\n{new_row()}"
    assert kept(row(), CHECKED, f"{NEXT} ssl verify none") == f"{row()}\n{new_row()}"
    assert kept(row(op=0), CHECKED, NEXT) == row(op=0), "else nobody would serve"
    for more, health in ((" rise 4 fall 2", 4), (" fall 9", 9)):
        assert kept(row(), CHECKED, NEXT + more) == f"{row()}\n{new_row(3, health)}"
    for more in (" rise 1", " fall 1", "\n cookie x insert", "\n stick on src"):
        assert kept(row(), CHECKED, NEXT + more) == f"{row()}\n{new_row(0, 0)}"
    for down in (row(admin=8), row(weight=0)):
        assert kept(down, CHECKED, NEXT).count("\n") == 0
    for unchecked in (" server t 10.0.0.2:81", " server t 10.0.0.2:81 check", f"{NEXT} disabled"):
        after = NEXT.replace(NEXT.split("\n")[1], unchecked.split("\n")[-1])
        assert kept(row(), CHECKED, after) == row()


def test_another_address_or_the_end_of_a_maintenance_does_not_begin_as_up() -> None:
    other = row().replace(" 1 s ", " 2 t ").replace("10.0.0.1", "10.0.0.9").replace(" 80 ", " 81 ")
    assert kept(f"{row()}\n{other}", NEXT.replace("0.2:", "0.9:"), NEXT) == f"{row()}\n{new_row()}"
    out = row(op=0, admin=1).replace(" 1 s ", " 2 t ").replace("10.0.0.1", "10.0.0.2")
    out = out.replace(" 80 ", " 81 ")
    assert kept(f"{row()}\n{out}", f"{NEXT} disabled", NEXT) == f"{row()}\n{new_row()}"


def test_a_server_that_no_check_has_looked_at_yet_is_no_proof() -> None:
    fresh = row().replace(" 8 2 0 6 ", " 1 0 2 6 ")
    assert kept(fresh, CHECKED, CHECKED) == "", "it starts anew, and its check comes at once"
    assert kept(fresh, CHECKED, NEXT) == "", "nobody is known to be good"
    assert kept(fresh, S, S) == fresh


def test_checks_that_somebody_switched_off_are_on_again_after_a_reload() -> None:
    off = row().replace(" 0 6 0 ", " 0 2 0 ")
    assert kept(off, S, S) == row()
    assert kept(off, None, S) == row()


@pytest.mark.parametrize(
    ("old", "new", "stays"),
    [
        ("", "", True),
        (" option httpchk GET /nope", " option httpchk GET /health", False),
        (" http-check expect status 299", " http-check expect status 200", False),
        ("", " option tcp-check", False),
        (" default-server port 9", "", False),
        ("", " option httplog", True),
        ("", " default-server inter 9s maxconn 7 cookie x", True),
    ],
)
def test_what_another_check_found_bad_is_looked_at_anew(old: str, new: str, *, stays: bool) -> None:
    """Else a check that was put right would leave its servers down for some more checks."""
    was, now = f"{old}\n{S}", f"{new}\n{S}"
    for op in (0, 3):
        assert kept(row(op=op), was, now) == (row(op=op) if stays else "")
    assert kept(row(), was, now) == row(), "it serves on until the new one says otherwise"
    by_hand = row(op=0, admin=1)
    assert kept(by_hand, was, now) == by_hand
