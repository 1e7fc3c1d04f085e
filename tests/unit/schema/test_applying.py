"""What many keys become, in which steps, and what is never touched."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lbsync.model.snapshot import Item, Snapshot
from lbsync.schema.applying import MOST_KEYS, Plan, plan, transactions
from lbsync.schema.service_document import Change, is_same

Keys = Mapping[str, Mapping[str, Any]]


def stored(values: Keys) -> Snapshot:
    items = {key: Item(key, json.dumps(value).encode(), 1, 1) for key, value in values.items()}
    return Snapshot(1, 1, items)


def planned(
    before: Keys,
    wanted: Keys,
    *,
    tree: str = "",
    prune: bool = False,
    force: bool = False,
) -> Plan:
    values = {key: json.dumps(value).encode() for key, value in wanted.items()}
    places = dict.fromkeys(values, "file.yaml")
    return plan(stored(before), values, places, tree=tree, prune=prune, force=force)


def web(*hosts: str, **fields: object) -> dict[str, Any]:
    return {"mode": "http", "hosts": list(hosts), **fields}


def names(steps: list[list[Change]]) -> list[list[str]]:
    return [[change.key for change in step] for step in steps]


def test_only_keys_of_the_same_tree_are_pruned() -> None:
    before = {
        "services/a/mine": web("a.example", source="tree/shop"),
        "services/a/theirs": web("b.example", source="tree/bank"),
        "services/a/hand": web("c.example"),
        "services/a/kube": web("d.example", source="k8s/prod"),
        "services/a/kept": web("e.example", source="tree/shop"),
        "agents/x": {"source": "tree/shop"},
    }

    found = planned(before, {"services/a/kept": web("e.example")}, tree="shop", prune=True)

    assert [change.key for change in found.changes] == ["services/a/mine"]
    assert found.changes[0].after is None
    assert (found.problems, found.unchanged) == ((), 1)


def test_what_belongs_to_others_is_refused_and_its_owner_named() -> None:
    before = {
        "services/a/kube": web("d.example", source="k8s/prod"),
        "services/a/tree": web("e.example", source="tree/shop"),
    }
    wanted = {"services/a/kube": web("x.example"), "services/a/tree": web("y.example")}

    found = planned(before, wanted)

    assert "belongs to 'k8s/prod'" in found.problems[0]
    assert "write it with --tree shop" in found.problems[1]
    assert not planned(before, wanted, force=True).problems
    again = {key: {**value, "source": before[key]["source"]} for key, value in wanted.items()}
    assert "k8s/prod" in planned(before, again).problems[0]
    assert len(planned(before, again).problems) == 1  # a tree's own documents may name it


def test_every_fault_is_told_with_its_file_key_and_cure() -> None:
    found = planned(
        {},
        {
            "services/a/b": {"mode": "htp"},
            "servces/a/b": {},
            "agents/lb-1": {},
            "services/a/c": web("a.example", source="k8s/x"),
            "endpoints/a/b/Main": {"servers": []},
        },
        tree="shop",
    )

    assert len(found.problems) == 5
    assert all(problem.startswith("file.yaml: ") for problem in found.problems)
    assert "did you mean services/?" in found.problems[1]
    assert "take the field out" in found.problems[3]


def test_what_is_stored_and_refused_is_left_alone() -> None:
    bad: Keys = {"services/a/b": {"mode": "htp"}}

    assert planned(bad, bad).unchanged == 1
    odd = web("a.example", maxconn=True)
    assert planned({"services/a/b": odd}, {"services/a/b": web("a.example", maxconn=1)}).changes


def test_services_that_exchange_hosts_are_written_together() -> None:
    before = {f"services/a/{n:03}": web(f"{n}.example") for n in range(150)}
    wanted = {**before, "services/a/000": web("149.example"), "services/a/149": web("0.example")}
    wanted |= {f"services/a/{n:03}": web(f"{n}.example", maxconn=5) for n in range(1, 149)}

    steps = names(transactions(planned(before, wanted).changes))

    assert len(steps) == 2
    assert ["services/a/000" in step for step in steps] == ["services/a/149" in s for s in steps]


def test_what_is_new_comes_first_and_what_goes_last() -> None:
    before = {f"services/a/old{n}": web(f"old{n}.example", source="tree/t") for n in range(150)}
    wanted = {f"services/a/new{n}": web(f"new{n}.example") for n in range(150)}
    kept: Keys = {"services/a/old0": web("old0.example", maxconn=3)}

    steps = transactions(planned(before, {**wanted, **kept}, tree="t", prune=True).changes)

    kinds = [
        "gone" if c.after is None else "changed" if c.before else "new" for s in steps for c in s
    ]
    assert kinds == ["new"] * 150 + ["changed"] + ["gone"] * 149


def test_a_service_too_large_for_one_step_gets_its_servers_first_and_loses_them_last() -> None:
    old: dict[str, Any] = {
        f"endpoints/a/b/o{n}": {"servers": [], "source": "tree/t"} for n in range(90)
    }
    old["routes/a/b"] = {"groups": {"o1": 1}, "source": "tree/t"}
    new: dict[str, Any] = {f"endpoints/a/b/n{n}": {"servers": []} for n in range(90)}
    new |= {"services/a/b": web("b.example"), "routes/a/b": {"groups": {"n1": 1}}}

    steps = transactions(planned(old, new, tree="t", prune=True).changes)
    keys = [key for step in names(steps) for key in step]

    assert [keys.index("services/a/b"), keys.index("routes/a/b")] == [90, 91]
    assert set(keys[92:]) == old.keys() - {"routes/a/b"}


HOSTS = st.sampled_from([f"{name}.example" for name in "abcdefgh"])
STORES = st.dictionaries(
    st.sampled_from([f"services/x/{name}" for name in "abcdefgh"]),
    st.lists(HOSTS, min_size=1, max_size=3, unique=True).map(lambda hosts: web(*hosts)),
) | st.integers(100, 350).map(
    lambda n: {f"services/x/n{i}": web(f"{(i * 7) % n}.example") for i in range(n)}
)


@given(STORES, STORES)
def test_whatever_is_wanted_the_steps_lead_there(before: Keys, wanted: Keys) -> None:
    labelled = {key: {**value, "source": "tree/t"} for key, value in before.items()}
    found = planned(labelled, wanted, tree="t", prune=True)
    assert not found.problems

    steps = transactions(found.changes)

    now = dict(stored(labelled).items)
    for step in steps:
        assert len({change.key for change in step}) == len(step)
        assert len(step) <= MOST_KEYS
        for change in step:
            assert now.get(change.key) == change.before
            now.pop(change.key, None)
            if change.after is not None:
                now[change.key] = Item(change.key, change.after, 1, 1)
    there = {key: json.loads(item.value) for key, item in now.items()}
    assert there == {key: {**value, "source": "tree/t"} for key, value in wanted.items()}


def test_values_are_compared_as_json_has_them_and_not_as_python() -> None:
    assert is_same(b'{"a": 1, "b": [2]}', b'{"b":[2],"a":1}')
    assert not is_same(b'{"a": 1}', b'{"a": true}')
    assert not is_same(b'{"a": 0}', b'{"a": false}')
    assert not is_same(b"nonsense", b"{}")
