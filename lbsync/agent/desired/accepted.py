"""What was last served: every key as it stood when a pass was confirmed, kept on disk.

It gives the last good version of a key that went bad, the number of servers that the guard compares
with, and the order in which files of a file source were created, also after a restart of the agent. The
store is SQLite: a confirmed pass writes only what changed, in one transaction.
"""

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from lbsync.agent import boot
from lbsync.agent.desired.accepted_items import items_in, remembered
from lbsync.agent.desired.decode import Entries, Entry, differing, read_entry
from lbsync.agent.desired.raw_layout import Raw
from lbsync.agent.guard.row import SavedReach
from lbsync.agent.guard.window import Window
from lbsync.decoders import decode
from lbsync.errors import LbsyncError
from lbsync.model.snapshot import Item

#: Records hold subclasses of `str`, which msgspec does not encode by itself.
_ENCODER = msgspec.json.Encoder(enc_hook=str)
_LAYOUT = """
CREATE TABLE IF NOT EXISTS accepted (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS raw (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (
    service TEXT PRIMARY KEY, boot TEXT NOT NULL, value BLOB NOT NULL
) WITHOUT ROWID
"""


class StateError(LbsyncError):
    """Raised when the state directory cannot be written; names the file and the cause."""


class AcceptedStore:
    """The accepted entries: in memory for the pass, on disk for the next start."""

    def __init__(self, path: Path) -> None:
        """`path`: the database file; its directory exists."""
        self._path = path
        self._entries: dict[str, Entry] = {}
        self.raw: Raw = {}
        """The raw keys that templates saw, where they see any."""
        self.lost: str = ""
        """Why what was stored could not be read; empty when it could."""
        self.unread = False
        """The file exists but cannot be read now, as the disk is full or fails. Try `read` again."""
        self.read()

    def read(self) -> None:
        """Read what is stored; see `lost` and `unread`."""
        path = self._path
        try:
            self._entries, self.raw = _load(path)
            self.unread = False
        except sqlite3.OperationalError as error:
            # Not damaged: the file is good and must not be thrown away.
            self.lost, self.unread = f"{path} cannot be read now: {error}", True
        except sqlite3.DatabaseError as error:
            # A damaged file costs the last good versions, not the service: what HAProxy runs and the
            # live generation are untouched. The file is kept for inspection.
            self.lost = f"{path} cannot be read ({error}); it was set aside and begun anew"
            _set_aside(path)

    @property
    def is_gone(self) -> bool:
        """The file has been removed."""
        return bool(self._entries or self.raw) and not self._path.exists()

    @property
    def entries(self) -> Entries:
        """Key to accepted entry."""
        return self._entries

    def replace(self, entries: Mapping[str, Entry], raw: Raw) -> None:
        """Make `entries` and `raw` the accepted ones. Raises `StateError` when the disk refuses."""
        before = old, old_raw = self._entries, self.raw
        others = differing(entries, old)
        # Nearly every pass: keep the same objects, as others compare them by identity.
        if not others and raw == old_raw:
            return
        gone = [(name,) for name in others if name not in entries]
        come = [entries[name] for name in others if name in entries]
        changed = [e for e in come if e.item.key not in old or old[e.item.key].item != e.item]
        rows = [pair for pair in raw.items() if old_raw.get(pair[0]) != pair[1]]
        rows_gone = [(name,) for name in old_raw if name not in raw]
        self._entries, self.raw = dict(entries), raw
        if not changed and not gone and not rows and not rows_gone:
            return
        try:
            with closing(_open(self._path)) as db, db:
                db.executemany("DELETE FROM accepted WHERE key = ?", gone)
                db.executemany(
                    "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?)",
                    [_row(entry.item) for entry in changed],
                )
                db.executemany("DELETE FROM raw WHERE key = ?", rows_gone)
                db.executemany("INSERT OR REPLACE INTO raw VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            self._entries, self.raw = before
            raise StateError(
                f"{self._path}: what was accepted cannot be written: {error}"
            ) from error

    def rewrite(self) -> None:
        """Write everything that is accepted, whatever the file holds now. Raises `StateError`.

        Writes nothing while `unread`.
        """
        if self.unread:
            return
        entries, raw = self._entries, self.raw
        if not self._path.exists():
            for suffix in ("-wal", "-shm"):  # of the file that is gone
                with suppress(OSError):
                    self._path.with_name(self._path.name + suffix).unlink()
        try:
            with closing(_open(self._path)) as db, db:
                db.execute("DELETE FROM accepted")
                db.execute("DELETE FROM raw")
                db.execute("DELETE FROM reached")
                rows = [_row(entry.item) for entry in entries.values()]
                db.executemany("INSERT INTO accepted VALUES (?, ?, ?, ?)", rows)
                db.executemany("INSERT INTO raw VALUES (?, ?)", raw.items())
        except sqlite3.Error as error:
            raise StateError(
                f"{self._path}: what was accepted cannot be written: {error}"
            ) from error

    def remember(self, window: Window) -> None:
        """Save what was reached lately if it changed. Raises `StateError`."""
        if not window.unsaved:
            return
        boot_id, saved = boot.boot_id(), {name: window.saved(name) for name in window.unsaved}
        rows = [(name, boot_id, _ENCODER.encode(k)) for name, k in saved.items() if k]
        gone = [(name,) for name, k in saved.items() if not k]
        try:
            with closing(_open(self._path)) as db, db:
                db.executemany("DELETE FROM reached WHERE service = ?", gone)
                db.executemany("INSERT OR REPLACE INTO reached VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StateError(
                f"{self._path}: what was reached cannot be written: {error}"
            ) from error
        window.unsaved.clear()

    def recall(self, window: Window) -> None:
        """Restore into `window` what was reached before this agent started, if readable."""
        if self.unread or not self._path.exists():
            return
        found: dict[bool, dict[str, SavedReach]] = {True: {}, False: {}}
        with contextlib.suppress(sqlite3.Error), closing(_open(self._path)) as db:
            for name, of, value in db.execute("SELECT * FROM reached"):
                with contextlib.suppress(msgspec.DecodeError):
                    saved = decode(value, SavedReach)
                    found[of == boot.boot_id()][name] = saved
        window.restore(found[True], boot.now(), same_clock=True)
        window.restore(found[False], boot.now(), same_clock=False)


def peek(path: Path) -> Entries:
    """Return what is accepted, for a command beside the agent; empty if unreadable. Writes nothing."""
    return _decoded(remembered(path))


def _row(item: Item) -> tuple[str, bytes, int, int]:
    return item.key, item.value, item.create_revision, item.mod_revision


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        # Keys hold password hashes. SQLite gives its other files the mode of this one.
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o640))
    db = sqlite3.connect(path, timeout=5)
    # Losing the last transaction with the power is harmless (the next pass accepts again), a torn
    # file is not: WAL with NORMAL gives just that, without an fsync per pass.
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.executescript(_LAYOUT)
    return db


def _load(path: Path) -> tuple[dict[str, Entry], Raw]:
    if not path.exists():
        return {}, {}
    with closing(_open(path)) as db:
        raw = {key: bytes(value) for key, value in db.execute("SELECT * FROM raw")}
        return _decoded(items_in(db)), raw


def _decoded(items: Mapping[str, Item]) -> dict[str, Entry]:
    entries = {}
    for key, item in items.items():
        entry = read_entry(item)
        # An older version may have accepted what this one refuses: not known to be good.
        if isinstance(entry, Entry):
            entries[key] = entry
    return entries


def _set_aside(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        damaged = path.with_name(path.name + suffix)
        if damaged.exists():
            damaged.replace(path.with_name(f"{path.name}{suffix}.damaged"))
