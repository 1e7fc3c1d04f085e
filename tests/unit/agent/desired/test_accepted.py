"""What was accepted survives a restart, and damage costs only the memory."""

from pathlib import Path

import pytest

from lbsync.agent.desired.accepted import AcceptedStore, StateError, peek
from lbsync.agent.desired.accepted_items import remembered
from tests.builders import a_shop, entries_of, servers


def stored(store: AcceptedStore) -> dict[str, bytes]:
    return {name: entry.item.value for name, entry in store.entries.items()}


def test_a_restart_finds_what_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "accepted.db"
    entries = entries_of(a_shop())
    AcceptedStore(path).replace(entries, {})
    changed = {**a_shop(), "endpoints/shop/web/default": servers(1)}
    del changed["services/shop/db"]
    store = AcceptedStore(path)
    assert stored(store) == {name: entry.item.value for name, entry in entries.items()}
    store.replace(entries_of(changed), {})
    assert stored(AcceptedStore(path)) == stored(store)
    assert "services/shop/db" not in AcceptedStore(path).entries


def test_a_damaged_file_is_set_aside_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "accepted.db"
    path.write_bytes(b"no database, but long enough to look like something" * 100)
    store = AcceptedStore(path)
    assert not store.entries
    assert "set aside" in store.lost
    assert (tmp_path / "accepted.db.damaged").exists()
    store.replace(entries_of(a_shop()), {})
    assert len(AcceptedStore(path).entries) == len(a_shop())


def test_a_disk_that_refuses_leaves_the_old_ones_accepted(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "accepted.db"
    path.parent.mkdir()
    store = AcceptedStore(path)
    path.parent.rmdir()
    with pytest.raises(StateError, match=r"accepted\.db"):
        store.replace(entries_of(a_shop()), {})
    assert not store.entries


def test_a_disk_that_cannot_be_read_now_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "accepted.db"
    AcceptedStore(path).replace(entries_of(a_shop()), {})
    kept = path.with_name("kept")
    path.rename(kept)
    path.mkdir()
    store = AcceptedStore(path)
    assert store.unread
    assert not store.entries
    path.rmdir()
    kept.rename(path)
    store.read()
    assert not store.unread
    assert len(store.entries) == len(a_shop())


def test_a_command_beside_the_agent_finds_what_was_accepted_and_touches_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "accepted.db"
    assert (peek(path), remembered(path)) == ({}, {})
    assert not path.exists()
    AcceptedStore(path).replace(entries_of(a_shop()), {})
    kept = {name: entry.item for name, entry in AcceptedStore(path).entries.items()}
    assert {name: entry.item for name, entry in peek(path).items()} == kept
    assert remembered(path) == kept
    path.write_bytes(b"no database, but long enough to look like something" * 100)
    assert (peek(path), remembered(path)) == ({}, {})
    assert path.exists()


def test_a_file_that_was_removed_or_exchanged_is_written_anew_from_memory(tmp_path: Path) -> None:
    path, entries = tmp_path / "accepted.db", entries_of(a_shop())
    store = AcceptedStore(path)
    assert not store.is_gone  # nothing was ever stored
    store.replace(entries, {"shop/raw": b"1"})
    path.unlink()
    assert store.is_gone
    store.rewrite()
    assert not store.is_gone
    assert (stored(AcceptedStore(path)), AcceptedStore(path).raw) == (
        stored(store),
        {"shop/raw": b"1"},
    )
    other = tmp_path / "other.db"
    AcceptedStore(other).replace(
        entries_of({"services/old/old": a_shop()["services/shop/web"]}), {}
    )
    other.replace(path)
    store.rewrite()
    assert stored(AcceptedStore(path)) == stored(store)
