"""A flood of one writer: bounded in time, and in what is said of it."""

import time

from hypothesis import given
from hypothesis import strategies as st

from lbsync.agent.desired.assemble import Assembler
from lbsync.agent.desired.decode import Decoder
from lbsync.agent.desired.problem_limit import NAMED, few
from lbsync.model.desired import Problem
from lbsync.model.snapshot import Item, Snapshot
from tests.builders import a_snapshot, entries_of

FLOOD = 20_000


def flood(value: bytes, count: int = FLOOD) -> dict[str, Item]:
    return {
        key: Item(key, value, number + 1, number + 1)
        for number in range(count)
        for key in [f"services/evil/x{number}"]
    }


def test_20_000_bad_keys_cost_seconds_once_and_nothing_after() -> None:
    items = flood(b'{"mode":"http","chek":{}}')
    decoder = Decoder()
    began = time.monotonic()
    first = decoder.resolve(Snapshot(1, 1, items), {})
    assert time.monotonic() - began < 10.0  # half a second; explaining each took half a minute
    another = {"services/shop/bad": Item("services/shop/bad", b'{"mode":7}', 30_000, 30_000)}
    told = decoder.resolve(Snapshot(2, 1, items | another), {}).problems
    assert len(first.problems) == NAMED + 1
    assert first.problems[0] == Problem(
        "*/evil/*", "", "over 10000 more problems of namespace evil; 'lbsync service ls' shows each"
    )
    assert "mode: it is a number" in next(p.reason for p in told if p.service == "shop/bad")


def test_those_that_are_spoken_of_are_explained_also_when_others_were_cured() -> None:
    decoder = Decoder()
    items = flood(b'{"mode":"http","chek":{}}', 300)
    decoder.resolve(Snapshot(1, 1, items), {})
    left = dict(list(items.items())[250:])
    found = decoder.resolve(Snapshot(2, 1, left), {}).problems
    assert {p.reason for p in found if p.service} == {"chek: no such field; did you mean check?"}
    assert len([p for p in found if p.service]) == NAMED


def test_a_bad_key_of_one_does_not_slow_down_the_changes_of_others() -> None:
    decoder = Decoder()
    good, bad = {"mode": "http", "hosts": ["a.example"]}, b"\xff"
    decoder.resolve(a_snapshot({"services/a/a": good, "services/evil/x": bad}), {})
    change = a_snapshot(
        {"services/a/a": good | {"paths": ["/x"]}, "services/evil/x": bad}, revision=9
    )
    found = decoder.diff(change)
    assert found is not None
    assert "services/a/a" in {entry.item.key for entry in found.changed}


def test_a_thousand_hosts_that_belong_to_another_are_a_few_sentences() -> None:
    hosts = [f"h{number}.example" for number in range(1000)]
    values = {"services/a/first": {"mode": "http", "hosts": hosts}}
    values |= {f"services/evil/x{n}": {"mode": "http", "hosts": hosts} for n in range(20)}
    assert len(Assembler().assemble(entries_of(values), 1, ()).problems) == NAMED + 1


PROBLEMS = st.lists(
    st.builds(
        Problem,
        st.text("abc/*", max_size=6),
        st.sampled_from(["", "a/b", "c/d"]),
        st.sampled_from("xyz"),
    )
)


@given(PROBLEMS)
def test_few_of_few_are_all_of_them(problems: list[Problem]) -> None:
    found = few(problems)
    assert set(found) <= set(problems) or len(problems) > NAMED
    assert few(found) == found


def test_a_writer_of_many_namespaces_is_bounded_too() -> None:
    found = few(Problem(f"services/n{n}/x", f"n{n}/x", "bad") for n in range(20_000))
    assert len(found) == 501
    assert found[0].key == "*/*"
