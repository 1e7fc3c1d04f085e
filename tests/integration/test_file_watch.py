"""However a file comes to be changed, the source notices, and never loses what it had."""

import contextlib
import ctypes
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from watchdog.observers import inotify_c

from harness.wait import wait_until
from lbsync.agent.watches import Watches
from lbsync.clients.files.contents import locked
from lbsync.clients.files.notices import Notices
from lbsync.clients.files.source import FileSource
from lbsync.clients.files.tree import Tree
from lbsync.clients.source import Expect, Put
from lbsync.errors import Conflict, Rejected, Unavailable
from lbsync.settings import load

Open = Callable[[Path], FileSource]


@pytest.fixture(autouse=True)
def no_regular_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests see was noticed."""
    monkeypatch.setattr("lbsync.clients.files.source._READ_EVERY", 3600.0)


def nothing() -> None:
    pass


@pytest.fixture
def watching() -> Iterator[Open]:
    opened: list[FileSource] = []

    def begin(path: Path) -> FileSource:
        source = FileSource(path)
        opened.append(source)
        source.start(nothing)
        wait_until(
            "a first reading", lambda: source.health().ok or "such" in source.health().detail
        )
        return source

    yield begin
    for source in opened:
        source.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "keys"
    (root / "services" / "shop").mkdir(parents=True)
    (root / "services" / "shop" / "cart.yaml").write_text("mode: http")
    return root


def value(source: FileSource, key: str) -> bytes | None:
    item = source.snapshot().items.get(key)
    return item.value if item else None


def becomes(source: FileSource, key: str, expected: bytes | None) -> None:
    wait_until(f"{key} to be {expected!r}", lambda: value(source, key) == expected)


def test_a_file_written_in_place_added_and_removed(tree: Path, watching: Open) -> None:
    source = watching(tree)
    cart = tree / "services/shop/cart.yaml"
    cart.write_text("mode: tcp")
    becomes(source, "services/shop/cart", b'{"mode":"tcp"}')
    (tree / "services/shop/new.json").write_text("{}")
    becomes(source, "services/shop/new", b"{}")
    cart.unlink()
    becomes(source, "services/shop/cart", None)


def test_an_editor_that_saves_by_renaming(tree: Path, watching: Open) -> None:
    source = watching(tree)
    cart = tree / "services/shop/cart.yaml"
    for mode in ("tcp", "http", "tcp"):
        cart.rename(tree / "services/shop/cart.yaml~")
        (tree / "services/shop/.cart.yaml.swp").write_text("x")
        (tree / "services/shop/4913").write_text("")
        (tree / "services/shop/4913").unlink()
        cart.write_text(f"mode: {mode}")
        becomes(source, "services/shop/cart", f'{{"mode":"{mode}"}}'.encode())
    assert source.snapshot().items.keys() == {"services/shop/cart"}


def test_a_directory_moved_into_the_tree(tree: Path, tmp_path: Path, watching: Open) -> None:
    source = watching(tree)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "a.json").write_text("1")
    (tmp_path / "new").rename(tree / "moved")
    becomes(source, "moved/a", b"1")
    (tree / "moved" / "a.json").write_text("2")
    becomes(source, "moved/a", b"2")


def test_the_tree_exchanged_by_a_symbolic_link(tmp_path: Path, watching: Open) -> None:
    for release in ("1", "2", "3"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "a.json").write_text(release)
    current = tmp_path / "current"
    current.symlink_to("1")
    source = watching(current)
    for release in ("2", "3"):
        (tmp_path / "next").symlink_to(release)
        (tmp_path / "next").rename(current)
        becomes(source, "a", release.encode())
    (tmp_path / "3" / "a.json").write_text("4")
    becomes(source, "a", b"4")


def test_a_mounted_config_map(tmp_path: Path, watching: Open) -> None:
    """Kubernetes links each file through `..data` and exchanges that link."""
    mount = tmp_path / "mount"
    for version in ("1", "2"):
        (mount / f"..v{version}").mkdir(parents=True)
        (mount / f"..v{version}" / "keys.yaml").write_text(f"a: {version}")
    (mount / "..data").symlink_to("..v1")
    (mount / "keys.yaml").symlink_to("..data/keys.yaml")
    tree, document = watching(mount), watching(mount / "keys.yaml")
    assert (value(tree, "keys"), value(document, "a")) == (b'{"a":1}', b"1")
    (mount / "..data_tmp").symlink_to("..v2")
    (mount / "..data_tmp").rename(mount / "..data")
    becomes(tree, "keys", b'{"a":2}')
    becomes(document, "a", b"2")


def test_a_tree_that_is_removed_is_kept_in_mind_until_it_is_back(
    tree: Path, watching: Open
) -> None:
    source = watching(tree)
    held = source.snapshot()
    shutil.rmtree(tree)
    # A reader may see the tree half removed; once it is gone, nothing more is taken away.
    wait_until("the loss", lambda: "no such directory" in source.health().detail)
    assert not source.health().ok
    assert source.snapshot().revision >= held.revision
    (tree / "services").mkdir(parents=True)
    (tree / "services" / "a.json").write_text("1")
    becomes(source, "services/a", b"1")
    wait_until("health", lambda: source.health().ok)
    (tree / "services" / "a.json").write_text("2")
    becomes(source, "services/a", b"2")


def test_a_tree_that_does_not_exist_yet(tmp_path: Path, watching: Open) -> None:
    source = watching(tmp_path / "later" / "keys")
    with pytest.raises(Unavailable, match="no such directory"):
        source.snapshot()
    (tmp_path / "later" / "keys").mkdir(parents=True)
    (tmp_path / "later" / "keys" / "a.json").write_text("1")
    wait_until("health", lambda: source.health().ok)
    becomes(source, "a", b"1")


def test_a_document_that_becomes_unreadable_keeps_its_last_good_content(
    tmp_path: Path, watching: Open
) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("a: 1")
    source = watching(path)
    held = source.snapshot()
    path.write_text("a: [1")
    wait_until("the fault", lambda: not source.health().ok)
    assert "keys.yaml: line" in source.health().detail
    assert source.snapshot() == held
    path.unlink()
    wait_until("the loss", lambda: "No such file" in source.health().detail)
    assert source.snapshot() == held
    path.write_text("a: 2")
    becomes(source, "a", b"2")


def test_a_document_that_was_never_good_is_refused_with_its_line(
    tmp_path: Path, watching: Open
) -> None:
    path = tmp_path / "keys.yaml"
    path.write_text("a: 1\na: 2")
    source = FileSource(path)
    source.start(nothing)
    try:
        wait_until("the fault", lambda: "line 2" in source.health().detail)
        with pytest.raises(Rejected, match="line 2"):
            source.snapshot()
    finally:
        source.close()


def test_files_saved_together_wake_once(tree: Path) -> None:
    woken = []
    source = FileSource(tree)
    source.start(lambda: woken.append(len(source.snapshot().items)))
    try:
        wait_until("a first reading", lambda: woken)
        for i in range(50):
            (tree / f"k{i}.json").write_text("1")
        wait_until("the last", lambda: woken[-1] == 51)
        assert len(woken) < 10
    finally:
        source.close()


def test_reading_does_not_wake_itself(tree: Path) -> None:
    """Opening and closing files are events too; taken for changes they would never end."""
    heard = []
    notices = Notices(lambda: heard.append(1))
    try:
        notices.watch({tree: None})
        for _ in range(100):
            Tree(tree).read()
        (tree / "a.json").write_text("1")
        wait_until("the one change", lambda: heard)
        assert len(heard) < 20
    finally:
        notices.close()


def events_asked_for(directory: Path) -> int:
    """What the kernel is to tell of a directory: the masks of all watches on it."""
    inode = f"ino:{directory.stat().st_ino:x}"
    found = 0
    for path in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            for line in path.read_text().splitlines():
                said = line.split()
                if said[:1] == ["inotify"] and inode in said:
                    found |= int(next(w for w in said if w.startswith("mask:"))[5:], 16)
    return found


def test_what_the_agent_writes_for_each_change_wakes_none_of_its_own_threads(
    tmp_path: Path,
) -> None:
    """Three threads of watchdog would look at each line of the journal, at the price of the change itself."""
    removed = threading.Event()
    config = tmp_path / "lbsync.toml"
    state = tmp_path / "state"
    config.write_text(f'state_dir = "{state}"\n')
    watches = Watches(config, wake=removed.set, reread=nothing, reloads=lambda: False)
    try:
        watches.follow(load(config, environ={}))
        (state / "agent.lock").touch()
        asked = wait_until("the watch", lambda: events_asked_for(state))
        assert asked & inotify_c.InotifyConstants.IN_DELETE
        writing = inotify_c.InotifyConstants.IN_MODIFY | inotify_c.InotifyConstants.IN_CLOSE_WRITE
        assert not asked & writing
        (state / "agent.lock").unlink()
        assert removed.wait(30)
    finally:
        watches.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_changes_are_noticed_again_after_the_thread_that_hears_of_them_has_ended(
    tree: Path,
) -> None:
    heard = threading.Event()
    notices = Notices(heard.set)
    try:
        notices.watch({tree: None})
        assert notices._observer is not None
        (emitter,) = notices._observer.emitters
        reader = getattr(emitter, "_inotify_fd", None) or getattr(emitter, "_inotify", None)
        assert isinstance(reader, threading.Thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(reader.ident or 0), ctypes.py_object(SystemExit)
        )
        (tree / "wakes.yaml").write_text("mode: http")
        wait_until("the thread to end", lambda: not reader.is_alive())
        notices.restart_ended()
        assert heard.is_set(), "of what was missed meanwhile"
        heard.clear()
        (tree / "later.yaml").write_text("mode: tcp")
        assert heard.wait(30)
    finally:
        notices.close()


def test_what_is_wrong_with_one_file_is_said_and_disturbs_no_other(
    tree: Path, watching: Open
) -> None:
    source = watching(tree)
    (tree / "bad.yaml").write_text("a: [1")
    becomes(source, "bad", b"a: [1")
    wait_until("the report", lambda: "bad.yaml: line" in source.health().detail)
    assert source.health().ok
    assert value(source, "services/shop/cart") == b'{"mode":"http"}'


def test_a_guard_is_checked_only_when_no_other_process_writes(tree: Path) -> None:
    source = FileSource(tree)
    with ThreadPoolExecutor(1) as pool, locked(tree):
        claim = pool.submit(
            source.commit, [Expect("leader", create_revision=0)], [Put("leader", b"me")]
        )
        with pytest.raises(TimeoutError):
            claim.result(timeout=0.2)
        (tree / "leader.json").write_text("you")
    assert isinstance(claim.exception(timeout=30), Conflict)
    assert (tree / "leader.json").read_text() == "you"
    source.close()


def test_many_watches_leave_no_thread_and_no_file_open(tree: Path) -> None:
    def once() -> None:
        source = FileSource(tree)
        source.start(nothing)
        wait_until("the watch", lambda: source.health().ok, every=0.001)
        source.close()

    once()
    me = psutil.Process(os.getpid())
    threads, files = threading.active_count(), me.num_fds()
    for _ in range(20):
        once()
    wait_until("the threads to end", lambda: threading.active_count() <= threads)
    wait_until("the files to be closed", lambda: me.num_fds() <= files)


def test_another_release_of_haproxy_has_the_agent_read_its_settings_anew(tmp_path: Path) -> None:
    """For another release the configuration is written in other words."""
    noticed = threading.Event()
    program = tmp_path / "bin" / "haproxy"
    program.parent.mkdir()
    program.write_text("one")
    config = tmp_path / "etc" / "lbsync.toml"
    config.parent.mkdir()
    config.write_text(f'state_dir = "{tmp_path / "state"}"\n[haproxy]\nbinary = "{program}"\n')
    watches = Watches(config, wake=nothing, reread=noticed.set, reloads=lambda: False)
    try:
        watches.follow(load(config, environ={}))
        (program.parent / "haproxy.dpkg-new").write_text("another")
        assert not watches.overlooked()
        (program.parent / "haproxy.dpkg-new").rename(program)
        assert noticed.wait(30)
        assert watches.overlooked()
    finally:
        watches.close()
