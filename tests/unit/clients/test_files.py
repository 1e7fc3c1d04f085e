"""Files to keys and back."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbsync.clients.files.contents import Reading
from lbsync.clients.files.document import Document
from lbsync.clients.files.history import History
from lbsync.clients.files.source import FileSource
from lbsync.clients.files.tree import Tree
from lbsync.clients.source import Delete, Put
from lbsync.errors import Rejected, Unavailable
from lbsync.model.snapshot import Item, Snapshot


def a_tree(root: Path, files: dict[str, str | bytes]) -> Tree:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Tree(root)


def test_the_suffix_is_not_part_of_the_key_and_yaml_becomes_json(tmp_path: Path) -> None:
    tree = a_tree(
        tmp_path,
        {
            "services/a/json.json": '{"mode": "http"}',
            "services/a/yaml.yaml": "mode: http\nhosts: [a.example.com]\n",
            "services/a/yml.yml": "mode: tcp",
            "services/a/plain": '{"mode":"tcp"}',
            "services/a/v1.2": "{}",
            "proxy/Port": "80",
        },
    )
    assert tree.read().values == {
        "services/a/json": b'{"mode": "http"}',
        "services/a/yaml": b'{"mode":"http","hosts":["a.example.com"]}',
        "services/a/yml": b'{"mode":"tcp"}',
        "services/a/plain": b'{"mode":"tcp"}',
        "services/a/v1.2": b"{}",
        "proxy/Port": b"80",
    }


def test_hidden_files_and_what_editors_leave_are_passed_over(tmp_path: Path) -> None:
    names = [".hidden.yaml", "a.yaml~", ".a.yaml.swp", "a.swp", "#a.yaml#", ".git/config"]
    assert a_tree(tmp_path, dict.fromkeys(names, "{}")).read() == Reading({})


def test_a_file_that_is_no_yaml_concerns_its_own_key_alone(tmp_path: Path) -> None:
    tree = a_tree(tmp_path, {"bad.yaml": "a: [1", "binary.yml": b"\xff\x00", "good.yaml": "a: 1"})
    reading = tree.read()
    assert reading.values == {"bad": b"a: [1", "binary": b"\xff\x00", "good": b'{"a":1}'}
    assert len(reading.problems) == 2
    assert any("bad.yaml: line" in problem for problem in reading.problems)


def test_a_key_in_two_files_is_refused_rather_than_guessed(tmp_path: Path) -> None:
    reading = a_tree(tmp_path, {"a.json": "{}", "a.yaml": "{}", "b.json": "{}"}).read()
    assert reading.values["b"] == b"{}"
    with pytest.raises(json.JSONDecodeError):
        json.loads(reading.values["a"])
    assert "keep one of them" in reading.problems[0]


def test_a_name_that_is_no_utf8_is_reported(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"\xff.json"), "wb") as file:  # noqa: PTH118, PTH123
        file.write(b"{}")
    assert Tree(tmp_path).read() == Reading({}, (r"\xff",))


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    root = tmp_path / "root"
    a_tree(root, {"services/a.json": "{}"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.json").write_text("{}")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "services" / "loop").symlink_to(root)
    (root / "dangling.json").symlink_to(tmp_path / "nowhere")
    keys = Tree(root).read().values.keys()
    assert {"services/a", "linked/b"} <= keys
    assert len(keys) < 10


def test_a_missing_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="create it, or correct the source"):
        Tree(tmp_path / "none").read()


def test_a_change_of_the_same_length_in_the_same_instant_is_seen(tmp_path: Path) -> None:
    tree = a_tree(tmp_path, {"a.json": "1"})
    tree.read()
    status = (tmp_path / "a.json").stat()
    (tmp_path / "a.json").write_text("2")
    os.utime(tmp_path / "a.json", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert tree.read().values == {"a": b"2"}


def test_what_is_written_keeps_its_file_and_its_kind(tmp_path: Path) -> None:
    tree = a_tree(tmp_path, {"a.yaml": "x: 1 # why", "b.json": "{}", "c": "1"})
    (tmp_path / "b.json").chmod(0o600)
    tree.write([Put("a", b'{"x":2}'), Put("b", b'{"y":1}'), Put("c", b"2"), Put("d/e", b"3")])
    assert (tmp_path / "a.yaml").read_text() == "x: 2\n"
    assert (tmp_path / "b.json").read_bytes() == b'{"y":1}'
    assert (tmp_path / "b.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "c").read_bytes() == b"2"
    assert (tmp_path / "d" / "e.json").read_bytes() == b"3"
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]  # noqa: PTH208


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a//b", "", ".hidden", "a/..", "x~", "a\0"])
def test_a_key_cannot_lead_out_of_the_directory(tmp_path: Path, key: str) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(Rejected, match="cannot be a file"):
        Tree(tmp_path / "root").write([Put("ok", b"1"), Put(key, b"1")])
    assert list(tmp_path.rglob("*")) == [tmp_path / "root"]


segment = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,8}[a-z0-9])?", fullmatch=True)
keys = st.lists(segment, min_size=1, max_size=3).map("/".join)
anything = st.binary(max_size=20) | st.sampled_from([b"{}", b'{"a":1}', b"[1", b"80"])


@given(contents=st.dictionaries(keys, anything, max_size=8))
def test_a_tree_gives_back_any_value_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes]
) -> None:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    tree.write([Put(key, value) for key, value in contents.items()])
    assert tree.read().values == contents
    tree.write([Delete(key) for key in contents])
    assert tree.read().values == {}


def a_document(path: Path, content: str) -> Document:
    path.write_text(content)
    return Document(path)


def test_a_document_holds_keys_flat_or_below_a_name_that_ends_with_a_slash(tmp_path: Path) -> None:
    document = a_document(
        tmp_path / "all.yaml",
        """
        services/shop/cart: {mode: http}
        endpoints/shop/cart/:
          blue: {servers: []}
          green: {servers: []}
        /proxy/frontends/1/Port: 80
        proxy/frontends/1/Hostname: shop.example.com
        empty/:
        """,
    )
    assert document.read().values == {
        "services/shop/cart": b'{"mode":"http"}',
        "endpoints/shop/cart/blue": b'{"servers":[]}',
        "endpoints/shop/cart/green": b'{"servers":[]}',
        "proxy/frontends/1/Port": b"80",
        "proxy/frontends/1/Hostname": b"shop.example.com",
    }


@pytest.mark.parametrize(
    "content", ["a: [1", "- a\n- b", "just text", "a/: 1", "\tx", "a: !!python/object:x {}"]
)
def test_a_document_that_cannot_be_understood_is_refused_with_its_path(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(Rejected, match=r"all\.yaml"):
        a_document(tmp_path / "all.yaml", content).read()


def test_a_value_that_json_cannot_say_concerns_its_key_alone(tmp_path: Path) -> None:
    reading = a_document(tmp_path / "all.yaml", "a: {null: 2}\nb: {c: 1}\n").read()
    assert reading.values["b"] == b'{"c":1}'
    assert reading.problems


def test_a_json_document_is_written_as_json(tmp_path: Path) -> None:
    document = a_document(tmp_path / "all.json", '{"a": {"x": 1}}')
    document.write([Put("b", b"text"), Put("c", b'{"y":[2]}'), Delete("a")])
    assert json.loads((tmp_path / "all.json").read_text()) == {"b": "text", "c": {"y": [2]}}


def test_a_document_behind_a_link_is_replaced_where_it_is(tmp_path: Path) -> None:
    document = a_document(tmp_path / "real.yaml", "a: 1")
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    document = Document(tmp_path / "link.yaml")
    document.write([Put("b", b"2")])
    assert (tmp_path / "link.yaml").is_symlink()
    assert document.read().values == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: a is given twice"),
        ("a: &x [*x]", "references"),
        ("a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
            for old, new in zip("abcdefghij", "bcdefghijk", strict=True)
        ), "references"),
        ("a: 99-99-99\nb: 2026-99-99", "cannot be read"),
    ],
)  # fmt: skip
def test_yaml_that_plays_tricks_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        a_document(tmp_path / "all.yaml", content).read()


def test_references_and_merges_may_be_used(tmp_path: Path) -> None:
    content = "a: &a {x: 1, y: 1}\nb: {<<: *a, y: 2}\n"
    assert a_document(tmp_path / "all.yaml", content).read().values == {
        "a": b'{"x":1,"y":1}',
        "b": b'{"x":1,"y":2}',
    }


@given(st.binary(max_size=60))
def test_no_content_of_a_file_is_a_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "a.yaml").write_bytes(content)
    assert Tree(folder).read().values.keys() == {"a"}
    try:
        Document(folder / "a.yaml").read()
    except Rejected as error:
        assert "a.yaml" in str(error)


readings = st.lists(st.dictionaries(st.sampled_from("abcd"), st.binary(max_size=1)), max_size=8)


@given(readings)
def test_revisions_move_exactly_with_the_values(steps: list[dict[str, bytes]]) -> None:
    history = History()
    before: Snapshot | None = None
    for values in steps:
        changed = history.take(Reading(dict(values)))
        now = history.snapshot()
        assert now is not None
        assert {key: item.value for key, item in now.items.items()} == values
        assert all(item.create_revision <= item.mod_revision for item in now.items.values())
        assert all(item.mod_revision <= now.revision for item in now.items.values())
        if before is not None:
            assert changed == ({k: i.value for k, i in before.items.items()} != values)
            assert (now.revision > before.revision) == changed
            for key, item in now.items.items():
                old = before.items.get(key)
                same = old is not None and old.value == item.value
                assert (old == item) == same
        before = now


def test_keys_seen_together_are_created_in_the_order_of_their_names() -> None:
    history = History()
    history.take(Reading({"b": b"", "a": b""}))
    history.take(Reading({"b": b"", "a": b"", "0": b""}))
    snapshot = history.snapshot()
    assert snapshot is not None
    order = sorted(snapshot.items.values(), key=lambda item: item.create_revision)
    assert [item.key for item in order] == ["a", "b", "0"]


def test_a_history_goes_on_from_what_was_known_before() -> None:
    """After a restart the order of creation is as it was, not that of names."""
    known = {"z": Item("z", b"1", 4, 9), "b": Item("b", b"1", 6, 6), "x": Item("x", b"1", 2, 2)}
    history = History(known)
    assert history.snapshot() is None
    assert history.take(Reading({"z": b"1", "b": b"2", "a": b"1"}))
    snapshot = history.snapshot()
    assert snapshot is not None
    assert snapshot.items["z"] == known["z"]
    assert snapshot.items["b"] == Item("b", b"2", 6, 10)
    assert snapshot.items["a"] == Item("a", b"1", 11, 11)
    assert "x" not in snapshot.items
    assert snapshot.revision == 11
    assert not history.take(Reading({"z": b"1", "b": b"2", "a": b"1"}))


@pytest.mark.parametrize("name", ["keys", "keys.json"])
def test_a_file_source_keeps_the_order_that_it_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    known = {"b": Item("b", b"1", 1, 1), "a": Item("a", b"1", 2, 2)}
    if name == "keys":
        path.mkdir()
        (path / "a").write_bytes(b"1")
        (path / "b").write_bytes(b"1")
    else:
        path.write_text('{"a": "1", "b": "1"}')
    source = FileSource(path, known)
    assert source.snapshot().items == known
    source.close()


def test_a_document_that_does_not_exist_yet_is_unavailable_and_can_be_committed_to(
    tmp_path: Path,
) -> None:
    source = FileSource(tmp_path / "keys.yaml")
    with pytest.raises(Unavailable, match=r"keys\.yaml"):
        source.snapshot()
    source.close()
