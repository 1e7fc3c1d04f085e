"""Hear of changes below some directories (watchdog, inotify)."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lbsync import log
from lbsync.clients.files.contents import Names
from lbsync.deferred import Deferred
from lbsync.threads import supervise

if TYPE_CHECKING:
    from watchdog import events, observers
    from watchdog.observers import inotify_c
    from watchdog.observers.api import BaseObserver, EventEmitter
else:
    # 25 ms: a command that reads once hears of nothing.
    events, observers = Deferred("watchdog.events"), Deferred("watchdog.observers")
    inotify_c = Deferred("watchdog.observers.inotify_c")

_JOIN = 10.0


# watchdog calls it an error when it is stopped between two events. What its threads really miss
# is found by the regular reading.
logging.getLogger("watchdog.observers").setLevel(logging.CRITICAL)


def _handler(names: Names, notice: Callable[[bool], None]) -> events.FileSystemEventHandler:
    """Return what passes on that something happened; what it was, the next reading shows."""

    class Handler(events.FileSystemEventHandler):
        def on_any_event(self, event: events.FileSystemEvent) -> None:
            """Called from a thread of watchdog."""
            touched = {os.fsdecode(os.path.basename(p)) for p in (event.src_path, event.dest_path)}  # noqa: PTH119
            if names is None or names & touched:
                # watchdog before 7 does not look into a directory that was moved into the tree.
                notice(event.is_directory and event.event_type in ("created", "moved"))

    return Handler()


def _heard_of(*, removals: bool) -> list[type[events.FileSystemEvent]]:
    """Return the kinds of events that are asked for: without opening and closing, as reading the files
    would report itself, for ever. `removals`: only what takes an entry away."""
    gone = [
        events.DirDeletedEvent,
        events.DirMovedEvent,
        events.FileDeletedEvent,
        events.FileMovedEvent,
    ]
    if removals:
        return gone
    return [
        *gone,
        events.DirCreatedEvent,
        events.DirModifiedEvent,
        events.FileClosedEvent,
        events.FileCreatedEvent,
        events.FileModifiedEvent,
    ]


class Notices:
    """Calls `notice` (from a thread of watchdog) when something in the directories changed."""

    def __init__(self, notice: Callable[[], None]) -> None:
        self._notice = notice
        self._observer: BaseObserver | None = None
        self._folders: dict[Path, tuple[Names, bool, int]] = {}
        self._outdated = False
        self._asked: dict[Path, tuple[Names, bool]] = {}
        self._lock = threading.Lock()
        supervise(self)

    def restart_ended(self) -> None:
        """Watch anew where a thread of watchdog has ended, or a directory has come back."""
        with self._lock:
            is_new = bool(self._asked) and self._watch(self._asked)
        if is_new:
            self._notice()  # of what was missed meanwhile

    def watch(self, folders: Mapping[Path, Names], removals: Collection[Path] = ()) -> None:
        """Watch these directories from now on, instead of others.

        `removals`: of these it matters only what is taken out of them. Nothing is heard of writing then,
        which in a directory of our own costs 0.5 ms of three threads each time (measured).

        A directory that was removed and made again is another one under the same name: inotify
        follows the old one. One that cannot be watched is left to the regular reading.
        """
        with self._lock:
            self._asked = {path: (names, path in removals) for path, names in folders.items()}
            self._watch(self._asked)

    def close(self) -> None:
        """Stop watching. May be called twice."""
        with self._lock:
            self._asked = {}
            self._close()

    def _watch(self, folders: Mapping[Path, tuple[Names, bool]]) -> bool:
        """Return whether that took a new observer; without one, all is watched already."""
        wanted = {
            folder: (*asked, inode)
            for folder, asked in folders.items()
            if (inode := _inode(folder)) is not None
        }
        if wanted == self._folders and self._healthy() and not self._outdated:
            return False
        self._close()
        self._outdated = False
        _replace_ended_reader()
        self._observer = observers.Observer()
        # Started empty: an observer that fails to watch one directory at its start does not start.
        self._observer.start()
        for folder, (names, removals, _) in wanted.items():
            self._schedule(self._observer, folder, names, removals=removals)
        self._folders = wanted
        return True

    def _close(self) -> None:
        self._folders = {}
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join(_JOIN)
            self._observer = None

    def _schedule(
        self, observer: BaseObserver, folder: Path, names: Names, *, removals: bool
    ) -> None:
        handler = _handler(names, self._heard)
        try:
            observer.schedule(
                handler,
                str(folder),
                recursive=names is None,
                event_filter=_heard_of(removals=removals),
            )
        except OSError as error:
            log.get().warning("directory is not watched", path=str(folder), why=str(error))

    def _heard(self, new_directory: bool) -> None:
        self._outdated = self._outdated or new_directory
        self._notice()

    def _healthy(self) -> bool:
        """Return whether every directory still has its thread; it ends with the directory."""
        return (
            self._observer is not None
            and self._observer.is_alive()
            and all(emitter.is_alive() and _is_fed(emitter) for emitter in self._observer.emitters)
        )


def _is_fed(emitter: EventEmitter) -> bool:
    """Tell whether the thread that reads inotify for an emitter runs: one for each before watchdog 7, one for the
    whole process since then."""
    names = ("_inotify_fd", "_inotify")
    readers = [
        found
        for name in names
        if isinstance(found := getattr(emitter, name, None), threading.Thread)
    ]
    return all(reader.is_alive() for reader in readers)


def _replace_ended_reader() -> None:
    """Have watchdog 7 begin another reader for the process where its only one has ended, as by a limit of inotify
    that is reached in a new directory: by itself it never does."""
    shared = getattr(inotify_c, "InotifyFD", None)
    if shared is not None and shared._instance is not None and not shared._instance.is_alive():
        shared._instance = None


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino if folder.is_dir() else None
    except OSError:
        return None
