"""The store against a plain dict, and what it reports against what changed."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.kube.kinds import PODS, Entry, Key, Kind
from lbsync.clients.kube.resource_version import missed, older
from lbsync.clients.kube.store import Change, Store
from lbsync.kube_objects import Pod

KIND: Kind[Pod] = Kind(
    "Pod", "pods", ("v1",), True, Pod, PODS._wire, PODS._project, index=lambda pod: pod.uid
)


def pod(namespace: str, name: str, uid: str) -> Entry[Pod]:
    return Entry((namespace, name), "1", Pod(namespace=namespace, name=name, uid=uid, labels={}))


namespaces, names, uids = (st.sampled_from(x) for x in (["a", "b"], ["x", "y", "z"], ["1", "2"]))
entries = st.builds(pod, namespaces, names, uids)
unreadable = st.builds(lambda n, m: Entry[Pod]((n, m), "1", None, "odd"), namespaces, names)
lists = st.lists(entries | unreadable, max_size=6, unique_by=lambda entry: entry.key)
steps = st.lists(
    st.tuples(st.just("put"), entries | unreadable)
    | st.tuples(st.just("drop"), entries)
    | st.tuples(st.just("replace"), lists),
    max_size=12,
)


def apply(model: dict[Key, Any], changes: list[Change[Any]]) -> None:
    for change in changes:
        key = (change.namespace, change.name)
        assert model.get(key) == change.before
        assert change.before != change.after
        if change.after is None:
            del model[key]
        else:
            model[key] = change.after


@given(steps=steps)
def test_what_is_reported_is_exactly_what_changed(steps: list[Any]) -> None:
    store: Store[Pod] = Store(KIND)
    told: dict[Key, Any] = {}
    truth: dict[Key, Any] = {}
    for action, given_ in steps:
        if action == "replace":
            truth = {e.key: e.value or truth.get(e.key) for e in given_}
            truth = {key: value for key, value in truth.items() if value is not None}
            apply(told, store.replace(given_))
        elif action == "drop":
            truth.pop(given_.key, None)
            change = store.drop(given_.key)
            apply(told, [change] if change else [])
        else:
            if given_.value is not None:
                truth[given_.key] = given_.value
            change = store.put(given_)
            apply(told, [change] if change else [])
        assert dict(store) == told == truth == store.snapshot()
        for namespace in "ab":
            for uid in "12":
                wanted = {k for k, v in truth.items() if k[0] == namespace and v.uid == uid}
                assert set(store.group(namespace, uid)) == wanted


@given(left=st.integers(0, 10**20), right=st.integers(0, 10**20))
def test_versions_are_compared_as_numbers(left: int, right: int) -> None:
    assert older(str(left), str(right)) == (left < right)


@given(left=st.text(), right=st.text())
def test_versions_that_are_no_numbers_are_never_older(left: str, right: str) -> None:
    if older(left, right):
        assert int(left) < int(right)


def test_what_changed_after_the_version_reached_is_no_fault() -> None:
    def entry(name: str, version: str) -> Entry[Pod]:
        return Entry(("a", name), version, Pod(namespace="a", name=name, uid="", labels={}))

    def change(name: str) -> Change[Pod]:
        return Change("Pod", "a", name, None, None)

    listed = [entry("old", "5"), entry("new", "11")]
    changes = [change("old"), change("new"), change("gone")]
    assert missed(listed, changes, "10") == ["a/old", "a/gone"]
