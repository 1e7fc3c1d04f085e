"""What differs, whose doing it is, what heals it."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent.haproxycfg.config import Parser
from lbsync.agent.runtime.changes.steps import (
    AddEntry,
    AddServer,
    DelEntry,
    RetireServer,
    SetAddress,
    SetEntry,
    SetState,
    SetWeight,
    Step,
)
from lbsync.agent.runtime.drift import Drift, compare, healing, note_verified
from lbsync.agent.runtime.model import RuntimeConfig
from lbsync.agent.runtime.observe import ObservedState
from lbsync.clients.haproxy.answers import ServerState
from lbsync.clients.haproxy.capabilities import of_release

TEXT = """\
defaults
    default-server weight 40
frontend fe
    http-request set-var(txn.a) str(a),map(m.map)
    http-request set-var(txn.a) str(a),map_end(w.map)
backend be_a
    server s1 10.0.0.1:80 check
    server s2 10.0.0.2:80 weight 5 disabled
    server s3 app.test:80
backend be_if
    .if defined(X)
    server s1 10.0.0.1:80
    .endif
"""
FILES = {"m.map": b"a 1\nb 2\n", "w.map": b".a 1\n.b 2\n"}
S1 = ServerState("be_a", "s1", "10.0.0.1", 80, 2, 0, 40, "6")
S2 = ServerState("be_a", "s2", "10.0.0.2", 80, 0, 5, 5)
S3 = ServerState("be_a", "s3", "192.0.2.7", 80, 2, 0, 40)
CAN = of_release((2, 6, 12))


def running() -> RuntimeConfig:
    return RuntimeConfig(Parser().parse(TEXT), FILES)


def seen(s1: ServerState = S1, *more: ServerState, **entries: bytes) -> ObservedState:
    content = {"m": FILES["m.map"], "w": FILES["w.map"], **entries}
    pairs = {
        f"{name}.map": tuple(
            (line.split()[0], line.split()[1]) for line in data.decode().splitlines()
        )
        for name, data in content.items()
    }
    return ObservedState([s1, S2, S3, *more], {}, pairs)


def s1(**changes: object) -> ServerState:
    return msgspec.structs.replace(S1, **changes)


def found(what: ObservedState, known: RuntimeConfig | None = None) -> list[Drift]:
    return compare(known or running(), what, CAN)


def test_what_runs_as_wanted_differs_in_nothing() -> None:
    assert found(seen()) == []
    assert found(seen(s1(admin_state=4))) == [], "ready by command, though it began in maintenance"


@pytest.mark.parametrize(
    ("changes", "text", "step"),
    [
        ({"weight": 41}, "be_a/s1: weight is 41, wanted 40, set by hand", SetWeight("be_a", "s1", 40)),
        ({"admin_state": 1}, "be_a/s1: state is maint, wanted up, set by hand", SetState("be_a", "s1", "ready")),
        ({"admin_state": 8}, "be_a/s1: state is drain, wanted up, set by hand", SetState("be_a", "s1", "ready")),
        ({"port": 81}, "be_a/s1: port is 81, wanted 80", SetAddress("be_a", "s1", "10.0.0.1", 80)),
        (
            {"address": "10.0.0.9"},
            "be_a/s1: address is 10.0.0.9, wanted 10.0.0.1",
            SetAddress("be_a", "s1", "10.0.0.1", 80),
        ),
    ],
)  # fmt: skip
def test_each_difference_is_told_with_its_cure(
    changes: dict[str, object], text: str, step: Step
) -> None:
    (one,) = found(seen(s1(**changes)))
    assert str(one) == text
    assert one.server == ("be_a", "s1")
    assert one.heal.steps == (step,)
    assert healing([one], release=True).steps == (step,)
    assert healing([one]).steps == (() if one.by_hand else (step,))


def test_a_server_that_a_step_has_just_changed_is_nobody_elses() -> None:
    known = running()
    known.touch([SetWeight("be_a", "s1", 40)])
    (lost,) = found(seen(s1(weight=3)), known)
    assert not lost.by_hand, "the step was lost"
    note_verified(known, [lost])
    assert known.touched == {("be_a", "s1", "weight")}
    (moved, drained) = found(seen(s1(port=3, admin_state=8)), known)
    assert not moved.by_hand and drained.by_hand, "another field of it is another matter"
    note_verified(known, found(seen(), known))
    assert known.touched == set()
    (held,) = found(seen(s1(weight=3)), known)
    assert held.by_hand


def test_a_server_that_should_rest_is_put_to_rest() -> None:
    awake = msgspec.structs.replace(S2, admin_state=0)
    (one,) = found(ObservedState([S1, awake, S3]))
    assert not one.by_hand
    assert one.heal.steps == (SetState("be_a", "s2", "maint"),)


def test_a_lost_server_is_added_again_and_a_strange_one_retired() -> None:
    strange = ServerState("be_a", "s9", "10.0.0.9", 80, 2, 0, 1)
    lost, retired = found(ObservedState([S2, S3, strange]))
    assert lost.heal.steps == (AddServer("be_a", "s1", "10.0.0.1", 80, ("weight", "40", "check")),)
    assert retired.heal.steps == (RetireServer("be_a", "s9"),)
    both = healing([retired, lost]).steps
    assert isinstance(both[0], AddServer)
    (by_name,) = found(ObservedState([S1, S2]))
    assert by_name.heal.reasons == (
        "be_a/s3: it is gone, and it is not given by IP address and port",
    )


def test_a_server_on_its_way_out_is_expected_unless_it_works() -> None:
    known = running()
    known.adopt_steps([RetireServer("be_a", "s9")])
    leaving = ServerState("be_a", "s9", "10.0.0.9", 80, 2, 8, 1)
    assert found(seen(S1, leaving), known) == []
    awake = msgspec.structs.replace(leaving, admin_state=0)
    (one,) = found(seen(S1, awake), known)
    assert one.heal.steps == (RetireServer("be_a", "s9"),)


def test_a_backend_nobody_knows_is_a_reload() -> None:
    (one,) = found(seen(S1, ServerState("be_x", "s1", "10.0.0.9", 80, 2, 8, 1)))
    assert one.heal.reload


def test_a_map_is_healed_by_what_differs() -> None:
    (one,) = found(seen(m=b"a 1\nb 3\nc 4\n"))
    assert str(one) == "m.map: entries is '3', wanted 'b' leading to '2'"
    assert one.heal.steps == (SetEntry("m.map", "b", "2"), DelEntry("map", "m.map", "c"))
    (one,) = found(seen(m=b"b 2\n"))
    assert one.heal.steps == (AddEntry("map", "m.map", "a", "1"),)
    assert found(seen(m=b"b 2\na 1\n")) == []
    (one,) = found(seen(w=b".b 2\n.a 1\n"))
    assert one.heal.steps, "where order counts, another order is another map"


def test_the_number_of_entries_alone_tells_that_something_differs() -> None:
    (one,) = found(ObservedState([S1, S2, S3], {"m.map": 3, "w.map": 2}))
    assert str(one) == "m.map: entries is 3, wanted 2"


keys = st.sampled_from("abc")


@settings(max_examples=100)
@given(st.lists(st.tuples(keys, keys)), st.lists(st.tuples(keys, keys)))
def test_a_difference_in_a_map_can_be_put_into_words(
    wanted: list[tuple[str, str]], now: list[tuple[str, str]]
) -> None:
    known = RuntimeConfig(
        Parser().parse(TEXT), {"m.map": "".join(f"{k} {v}\n" for k, v in wanted).encode()}
    )
    for one in found(ObservedState([S1, S2, S3], {}, {"m.map": tuple(now)}), known):
        assert str(one)
        assert not one.heal.empty


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.sampled_from([40, 41]),
        "admin_state": st.sampled_from([0, 1, 8]),
        "address": st.sampled_from(["10.0.0.1", "10.9.9.9"]),
        "check": st.sampled_from(["6", "7", "2"]),
        "op_state": st.sampled_from([0, 2]),
    },
)
OTHER = Parser().parse(TEXT.replace("10.0.0.1:80 check", "10.9.9.9:80 check"))


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.booleans()), max_size=6))
def test_what_was_right_before_is_not_taken_for_right_when_it_or_its_wish_has_changed(
    looks: list[tuple[dict[str, object], bool, bool]],
) -> None:
    """Whoever looks for the first time must find the same."""
    known = running()
    for changes, is_other, is_there in looks:
        config = OTHER if is_other else Parser().parse(TEXT)
        known.adopt(config, FILES, ())
        now = seen(s1(**changes))
        if not is_there:
            now = msgspec.structs.replace(now, servers=[S2, S3])
        fresh = RuntimeConfig(config, FILES)
        assert list(map(str, found(now, known))) == list(map(str, found(now, fresh)))
