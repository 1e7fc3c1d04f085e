"""Generations on a real file system: whole or not there, through crashes and full disks."""

import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbsync.agent.desired.accepted import AcceptedStore
from lbsync.agent.generations.store import Store
from lbsync.errors import ApplyFailed, LbsyncError
from lbsync.model.rendered import Rendered, RenderedFile


def rendered(digest: str, extra: int = 0, text: bytes = b"global\n") -> Rendered:
    files = [RenderedFile("haproxy.cfg", text), RenderedFile("certs/a.pem", b"key", 0o640)]
    files += [RenderedFile(f"maps/{number}/x.map", b"a b\n") for number in range(extra)]
    return Rendered(digest, tuple(sorted(files, key=lambda file: file.path)))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state", keep=3)


@pytest.mark.parametrize("before", [None, 0o755, 0o2775])
def test_no_umask_lets_others_read_the_generations(tmp_path: Path, before: int | None) -> None:
    root = tmp_path / "state/generations"
    if before is not None:
        root.mkdir(parents=True)
        root.chmod(before)
    umask = os.umask(0)
    try:
        Store(tmp_path / "state", keep=3).stage(rendered("aa"), revision=7)
        accepted = AcceptedStore(tmp_path / "accepted.db")
        accepted.replace({}, {"/a": b"1"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(root.stat().st_mode) == (0o750 if before is None else before & ~0o007)
    assert stat.S_IMODE((tmp_path / "accepted.db").stat().st_mode) == 0o640


@pytest.mark.parametrize("extra", [0, 30])
def test_a_staged_set_is_whole_and_out_of_sight(store: Store, extra: int) -> None:
    umask = os.umask(0o077)
    try:
        staged = store.stage(rendered("aa", extra), revision=7)
    finally:
        os.umask(umask)
    assert (staged.path / "haproxy.cfg").read_bytes() == b"global\n"
    assert stat.S_IMODE((staged.path / "certs/a.pem").stat().st_mode) == 0o640
    assert stat.S_IMODE((staged.path / "haproxy.cfg").stat().st_mode) == 0o644
    assert stat.S_IMODE((staged.path / "certs").stat().st_mode) == 0o755
    assert len(list(staged.path.glob("maps/*/x.map"))) == extra
    assert staged.name.startswith(".")
    assert store.list() == []
    assert store.live() is None


def test_the_live_link_is_relative_and_moves_from_one_whole_set_to_the_next(store: Store) -> None:
    first = store.make_live(store.stage(rendered("aa"), revision=7))
    assert store.live_link.readlink() == Path("generations/1-aa")
    second = store.make_live(store.stage(rendered("bb")))
    assert (first.seq, second.seq) == (1, 2)
    live = store.live()
    assert live is not None and live.name == "2-bb"
    back = store.make_live(first)
    assert back.name == "1-aa"
    live = store.live()
    assert live is not None and live.meta.revision == 7


def test_confirmed_is_what_was_proved_not_what_is_live(store: Store) -> None:
    first = store.mark_confirmed(store.make_live(store.stage(rendered("aa"))))
    store.make_live(store.stage(rendered("bb")))
    confirmed = Store(store.live_link.parent, 3).confirmed()
    assert confirmed is not None and confirmed.name == "1-aa"
    assert confirmed.meta.confirmed_at == first.meta.confirmed_at is not None


def test_the_newest_of_one_digest_is_found_by_its_beginning(store: Store) -> None:
    for digest in ("abc1", "abd2", "abc1"):
        store.make_live(store.stage(rendered(digest)))
    found = store.by_digest("abc")
    assert found is not None and found.name == "3-abc1"
    assert store.by_digest("ff") is None


def test_pruning_keeps_the_newest_the_live_and_the_confirmed(store: Store) -> None:
    made = [store.make_live(store.stage(rendered(f"a{number}"))) for number in range(8)]
    store.mark_confirmed(made[0])
    store.make_live(made[2])
    assert store.prune() == 3
    assert [found.name for found in store.list()] == ["8-a7", "7-a6", "6-a5", "3-a2", "1-a0"]
    assert store.prune() == 0


def test_a_set_that_does_not_go_live_leaves_nothing(store: Store) -> None:
    staged = store.stage(rendered("aa"))
    store.discard(staged)
    assert not staged.path.exists()
    live = store.make_live(store.stage(rendered("bb")))
    store.discard(live)
    assert live.path.exists(), "only what never went live can be discarded"


def test_a_kill_in_the_middle_of_staging_leaves_what_was_live_and_is_swept(store: Store) -> None:
    store.make_live(store.stage(rendered("aa")))
    code = f"""
import os, signal
from lbsync.agent.generations import durable
from lbsync.agent.generations.store import Store
from lbsync.model.rendered import Rendered, RenderedFile
count = 0
def killed(path, data, mode, durable):
    global count
    count += 1
    if count == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, data, mode, durable)
write, durable._write = durable._write, killed
files = tuple(RenderedFile(name, b"x") for name in ("a", "b", "haproxy.cfg"))
Store({str(store.live_link.parent)!r}, 3).stage(Rendered("bb", files))
"""
    ended = subprocess.run([sys.executable, "-c", code], check=False)
    assert ended.returncode == -signal.SIGKILL
    root = store.live_link.parent / "generations"
    assert len(list(root.glob(".staging-*"))) == 1
    again = Store(store.live_link.parent, 3)
    live = again.live()
    assert live is not None and live.digest == "aa"
    again.sweep()
    assert [entry.name for entry in root.iterdir()] == ["1-aa"]


def test_a_full_disk_is_one_sentence_and_nothing_is_lost(store: Store) -> None:
    live = store.make_live(store.stage(rendered("aa")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))  # EFBIG stands in for ENOSPC
    try:
        with pytest.raises(ApplyFailed, match=r"the new generation cannot be written \(File too"):
            store.stage(rendered("bb", text=b"x" * 2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert store.live() == live
    assert [entry.name for entry in live.path.parent.iterdir()] == ["1-aa"]


def test_a_state_directory_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(
        ApplyFailed, match=r"written \(Not a directory\); something else is in its place"
    ):
        Store(tmp_path / "state", 3).stage(rendered("aa"))


def test_a_directory_in_the_place_of_the_link_is_left_alone(store: Store) -> None:
    staged = store.stage(rendered("aa"))
    store.live_link.mkdir()
    with pytest.raises(ApplyFailed, match="move it away"):
        store.make_live(staged)
    assert store.live_link.is_dir()


def test_damaged_records_do_not_hide_a_generation(store: Store) -> None:
    live = store.make_live(store.stage(rendered("aa")))
    (live.path / "meta.json").write_text("{broken")
    found = store.live()
    assert found is not None and found.digest == "aa"
    live.path.rename(live.path.with_name("other"))
    assert store.live() is None, "a link that leads nowhere is no live generation"


NAMES = st.lists(st.sampled_from(["..", ".", "a", "b", "", "/"]), max_size=4).map("/".join)


@settings(max_examples=50)
@given(NAMES)
def test_no_path_leaves_the_directory(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("outer")
    store = Store(root / "state", 3)
    try:
        staged = store.stage(Rendered("aa", (RenderedFile(name, b"x"),)))
    except LbsyncError:
        return
    outside = [p for p in root.rglob("*") if p.is_file() and staged.path not in p.parents]
    assert outside == []


def test_going_back_and_forth_pushes_nothing_out(tmp_path: Path) -> None:
    store = Store(tmp_path / "state", keep=4)
    made = [store.mark_confirmed(store.make_live(store.stage(rendered(f"a{n}")))) for n in range(3)]
    for _ in range(4):
        store.mark_confirmed(store.make_live(made[1]))  # a rollback, and its end
        store.mark_confirmed(store.make_live(store.stage(rendered("a2"))))
        store.prune()
    assert [found.digest for found in store.list()] == ["a2", "a1", "a0"]
    failed = store.make_live(store.stage(rendered("a0")))
    store.make_live(made[1])
    store.prune()
    assert made[0].path.exists(), "what was not proved again replaces nothing"
    assert failed.path.exists()
