"""Readers see the old or the new, whole; a writer that fails or is killed leaves nothing in the way."""

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from lbsync.agent.control import Control, Request
from lbsync.atomic import replace_file, replace_link, replacement, sweep


def drafts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix == ".lbsync"]


def test_content_and_mode_are_new_and_no_draft_is_left(tmp_path: Path) -> None:
    path = tmp_path / ("n\u00e4me" * 50)
    replace_file(path, b"old", 0o640)
    replace_file(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_fails_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), replacement(path, b"new") as draft:
        assert draft.read_bytes() == b"new"
        assert list(tmp_path.glob("*.conf")) == [path]
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert drafts(tmp_path) == []


def test_two_who_write_at_once_leave_one_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [bytes([65 + number]) * 100_000 for number in range(4)]

    def write(text: bytes) -> None:
        for _ in range(20):
            replace_file(path, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not path.exists() or path.read_bytes() in contents
    assert path.read_bytes() in contents
    assert drafts(tmp_path) == []


def test_a_link_leads_on_although_a_draft_of_it_was_left(tmp_path: Path) -> None:
    link = tmp_path / "live"
    (tmp_path / ".live.lbsync").symlink_to("nowhere")
    replace_link(link, Path("a"))
    replace_link(link, Path("b"))
    assert link.readlink() == Path("b")
    assert drafts(tmp_path) == []


def test_only_drafts_that_nobody_is_at_are_swept(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.x.lbsync", tmp_path / ".b.x.lbsync"
    for path in (old, new):
        path.touch()
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    sweep(tmp_path)
    sweep(tmp_path / "none")
    assert drafts(tmp_path) == [new.name]


def test_a_request_of_an_operator_is_on_disk_when_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    control = Control(tmp_path)
    control.set("drain", Request("a kernel update", "2026-01-31T12:00:00Z"))
    file, directory = synced
    assert file.name.startswith(".drain.")
    assert directory == control.path
    assert control.get("drain") is not None
