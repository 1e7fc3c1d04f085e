"""The exam that every source sits: what `lbsync.clients.source` promises, without exception."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.etcd import Etcd, open_etcd
from harness.wait import wait_until
from lbsync.clients.files.source import FileSource
from lbsync.clients.source import Delete, Expect, ExpectBelow, Put, Source
from lbsync.errors import Conflict
from lbsync.model.snapshot import Item
from tests.fakes import FakeSource

Open = Callable[[], Source]
numbers = itertools.count(1)


@pytest.fixture(params=["etcd", "tree", "document", "fake"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    made: Source
    if request.param == "etcd":
        etcd: Etcd = request.getfixturevalue("etcd")
        prefix = f"/contract{next(numbers)}/"
        made = open_etcd(etcd.urls, prefix, page_size=3)
    elif request.param == "tree":
        (tmp_path / "tree").mkdir()
        made = FileSource(tmp_path / "tree")
    elif request.param == "document":
        (tmp_path / "keys.yaml").touch()
        made = FileSource(tmp_path / "keys.yaml")
    else:
        made = FakeSource()
    yield made
    made.close()


class Waker:
    """Counts calls, as the agent's loop would."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


def watching(source: Source) -> Waker:
    waker = Waker()
    source.start(waker)
    wait_until("the source to watch", lambda: source.health().ok)
    return waker


def item(source: Source, key: str) -> Item:
    found = source.get(key)
    assert found is not None
    return found


def test_what_was_committed_is_read_back(source: Source) -> None:
    revision = source.commit([], [Put("services/shop/cart", b'{"mode":"http"}')])
    expected = Item("services/shop/cart", b'{"mode":"http"}', revision, revision)
    assert source.get("services/shop/cart") == expected
    assert source.snapshot().items == {"services/shop/cart": expected}
    assert source.snapshot().revision >= revision  # others may write to the same etcd


def test_a_key_that_is_not_there_is_none(source: Source) -> None:
    assert source.get("services/shop/none") is None


def test_the_snapshot_holds_all_keys_of_all_depths(source: Source) -> None:
    keys = {f"endpoints/shop/s{i}/blue" for i in range(10)} | {"settings/global"}
    source.commit([], [Put(key, b"{}") for key in sorted(keys)])
    assert source.snapshot().items.keys() == keys


def test_the_keys_below_a_folder_are_those_of_the_snapshot(source: Source) -> None:
    """Before and while it is watched."""
    source.commit([], [Put(key, b"{}") for key in ("a/b", "a/c/d", "ab/c", "b/a/b")])
    expected = {key: item(source, key) for key in ("a/b", "a/c/d")}
    assert source.below("a/") == expected
    watching(source)
    assert source.below("a/") == expected
    assert source.below("c/") == {}


def test_only_what_several_hosts_can_read_counts_as_shared(source: Source) -> None:
    assert source.shared is not isinstance(source, FileSource)


def test_a_sibling_of_a_key_is_not_taken_for_it(source: Source) -> None:
    source.commit([], [Put("services/shop/cart", b"1"), Put("services/shop/cart2", b"2")])
    source.commit([], [Delete("services/shop/cart")])
    assert source.snapshot().items.keys() == {"services/shop/cart2"}


def test_the_mod_revision_moves_with_the_value_and_the_create_revision_does_not(
    source: Source,
) -> None:
    source.commit([], [Put("a", b"1")])
    source.commit([], [Put("b", b"1")])
    first, other = item(source, "a"), item(source, "b")
    source.commit([], [Put("a", b"2")])
    second = item(source, "a")
    assert second.create_revision == first.create_revision
    assert second.mod_revision > first.mod_revision
    assert item(source, "b") == other


def test_the_older_key_has_the_lower_create_revision(source: Source) -> None:
    source.commit([], [Put("z", b"1")])
    source.commit([], [Put("a", b"1")])
    assert item(source, "z").create_revision < item(source, "a").create_revision


def test_a_key_made_anew_is_younger_than_before(source: Source) -> None:
    source.commit([], [Put("a", b"1")])
    before = item(source, "a")
    source.commit([], [Delete("a")])
    source.commit([], [Put("a", b"1")])
    assert item(source, "a").create_revision > before.create_revision


def test_a_guard_that_holds_lets_the_write_through(source: Source) -> None:
    created = source.commit([Expect("a", create_revision=0)], [Put("a", b"1")])
    source.commit([Expect("a", mod_revision=created)], [Put("a", b"2")])
    source.commit([Expect("a", create_revision=created)], [Delete("a")])
    assert source.get("a") is None


def test_a_guard_that_does_not_hold_leaves_everything_as_it_is(source: Source) -> None:
    revision = source.commit([], [Put("a", b"1")])
    with pytest.raises(Conflict, match="a"):
        source.commit([Expect("a", mod_revision=0)], [Put("a", b"2"), Put("b", b"2")])
    with pytest.raises(Conflict, match="a"):
        source.commit([Expect("a", mod_revision=revision + 1)], [Delete("a")])
    with pytest.raises(Conflict, match="c"):
        source.commit([Expect("c", create_revision=7)], [Delete("a")])
    assert source.snapshot().items.keys() == {"a"}
    assert item(source, "a").value == b"1"


def test_a_folder_that_nobody_wrote_in_since_lets_the_write_through(source: Source) -> None:
    """An empty one, too; what is beside it, and what was removed from it, does not matter."""
    source.commit([], [Put("a/b/one", b"1"), Put("a/b/two", b"1")])
    seen = source.snapshot().revision
    source.commit(
        [], [Put("a/b2", b"1"), Put("a/bc/d", b"1"), Put("a/b", b"1"), Put("a/a/z", b"1")]
    )
    source.commit([], [Delete("a/b/two")])
    source.commit([ExpectBelow("a/b/", seen), ExpectBelow("none/", seen)], [Put("c", b"1")])
    assert item(source, "c").value == b"1"


@pytest.mark.parametrize("written", ["a/b/new", "a/b/one", "a/b/deep/er"])
def test_a_folder_that_somebody_wrote_in_since_leaves_everything_as_it_is(
    source: Source, written: str
) -> None:
    source.commit([], [Put("a/b/one", b"1"), Put("c", b"1")])
    seen = source.snapshot().revision
    source.commit([], [Put(written, b"2")])
    with pytest.raises(Conflict, match=written):
        source.commit([ExpectBelow("a/b/", seen)], [Put("c", b"2"), Delete("a/b/one")])
    assert item(source, "c").value == b"1"
    assert source.get("a/b/one") is not None
    source.commit([ExpectBelow("a/b/", source.snapshot().revision)], [Put("c", b"2")])
    assert item(source, "c").value == b"2"


def test_a_key_that_was_made_anew_in_a_folder_is_noticed(source: Source) -> None:
    source.commit([], [Put("a/b", b"1")])
    seen = source.snapshot().revision
    source.commit([], [Delete("a/b")])
    source.commit([], [Put("a/b", b"1")])
    with pytest.raises(Conflict, match="a/b"):
        source.commit([ExpectBelow("a/", seen)], [Put("c", b"1")])


def test_all_writes_of_a_commit_appear_at_once(source: Source) -> None:
    watching(source)
    source.commit([], [Put(f"k{i}", b"0") for i in range(20)])
    wait_until("the keys", lambda: len(source.snapshot().items) == 20)
    source.commit([], [Put(f"k{i}", b"1") for i in range(20)])

    def moved() -> bool:
        values = {entry.value for entry in source.snapshot().items.values()}
        assert len(values) == 1
        return values == {b"1"}

    wait_until("the second round", moved, every=0.0001)


def test_removing_what_is_not_there_is_no_error(source: Source) -> None:
    source.commit([], [Delete("nothing/here")])


def test_a_watcher_is_woken_and_finds_the_change(source: Source) -> None:
    source.commit([], [Put("a", b"1"), Put("b", b"1")])
    waker = watching(source)
    assert source.snapshot().items.keys() == {"a", "b"}
    calls = waker.calls
    source.commit([], [Put("a", b"2"), Delete("b"), Put("c", b"3")])
    wait_until("the wake", lambda: waker.calls > calls)
    wait_until("the change", lambda: source.snapshot().items.keys() == {"a", "c"})
    assert source.snapshot().items["a"].value == b"2"


def test_the_mirror_and_a_plain_read_agree(source: Source) -> None:
    watching(source)
    for i in range(10):
        source.commit([], [Put(f"k{i % 3}", str(i).encode()), Delete(f"k{(i + 1) % 3}")])
    last = item(source, "k0")
    wait_until("the last", lambda: source.snapshot().items.get("k0") == last)
    for key, held in source.snapshot().items.items():
        assert source.get(key) == held


def test_a_snapshot_once_taken_does_not_change(source: Source) -> None:
    watching(source)
    source.commit([], [Put("a", b"1")])
    wait_until("the key", lambda: source.snapshot().items)
    before = source.snapshot()
    copy = dict(before.items)
    source.commit([], [Put("a", b"2"), Put("b", b"1")])
    wait_until("the change", lambda: len(source.snapshot().items) == 2)
    assert before.items == copy
    assert source.snapshot().revision > before.revision


def test_keys_of_a_lease_go_when_it_ends(source: Source) -> None:
    lease = source.lease(30)
    assert lease.remaining() > 10
    source.commit([], [Put("agents/lb1", b"{}", lease=lease.id), Put("stays", b"1")])
    lease.end()
    assert source.get("agents/lb1") is None
    assert source.get("stays") is not None
    assert lease.remaining() == 0.0


def test_closing_twice_is_allowed_also_after_watching(source: Source) -> None:
    watching(source)
    source.close()
    source.close()


def test_what_lies_below_and_beside_the_prefix_is_changed_in_one_step(etcd: Etcd) -> None:
    root = f"/contract{next(numbers)}"
    with contextlib.ExitStack() as stack:
        below, beside = (
            stack.enter_context(contextlib.closing(open_etcd(etcd.urls, f"{root}{end}")))
            for end in ("/", "-deploy/")
        )
        route = f"{root}/routes/shop/cart"
        first = below.commit([], [Put("routes/shop/cart", b"blue")])
        guard = Expect(route, mod_revision=first)
        both = beside.commit([guard], [Put(route, b"green"), Put("deployments/shop/cart/1", b"1")])
        assert item(below, "routes/shop/cart").mod_revision == both
        assert item(beside, "deployments/shop/cart/1").mod_revision == both
        assert beside.get(route) == Item(route, b"green", first, both)
        with pytest.raises(Conflict, match=route):
            beside.commit([guard], [Put(route, b"red"), Put("deployments/shop/cart/1", b"2")])
        assert item(beside, "deployments/shop/cart/1").value == b"1"
