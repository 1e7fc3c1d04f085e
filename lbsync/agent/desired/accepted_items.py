"""The accepted keys as they are stored in SQLite, not decoded: for commands that only ask when a key was made."""

import sqlite3
from contextlib import closing
from pathlib import Path

from lbsync.model.snapshot import Item


def remembered(path: Path) -> dict[str, Item]:
    """Return every accepted key as stored, even if it would not be accepted any more; empty if unreadable.

    `path`: the database of `AcceptedStore`. Writes nothing.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return items_in(db)
    except sqlite3.Error:
        return {}


def items_in(db: sqlite3.Connection) -> dict[str, Item]:
    """Return the keys that are stored. Raises `sqlite3.Error`."""
    rows = db.execute("SELECT * FROM accepted")
    return {row[0]: Item(row[0], bytes(row[1]), row[2], row[3]) for row in rows}
