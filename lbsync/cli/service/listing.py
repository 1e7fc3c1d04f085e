"""`lbsync service ls` and `lbsync server ls`: a table, or the same live."""

import argparse
from collections.abc import Callable, Sequence

import msgspec

from lbsync.cli import watching
from lbsync.cli.fleet import health
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import Source
from lbsync.model.snapshot import Snapshot
from lbsync.settings import Settings


class Row(msgspec.Struct, frozen=True):
    """One line of a table."""

    about: str
    """What it is about, unlike any other row."""
    cells: tuple[str, ...]
    document: object
    """The same for programs."""
    concerns: bool = False
    """Somebody should look at it: where a screen is too small, it is shown first."""


class Listing(msgspec.Struct, frozen=True):
    """A table and what is to be known of it."""

    head: tuple[str, ...]
    rows: tuple[Row, ...]
    asked: health.Asked

    def view(self) -> watching.View:
        """Return it for `--watch`."""
        lines = {row.about: self._in_short(row) for row in self.rows}
        documents = {row.about: watching.Document(row.document) for row in self.rows}
        return watching.View(self._draw, health.in_lines(self.asked) | lines, documents)

    def show(self, *, as_json: bool) -> None:
        """Show it once."""
        if as_json:
            Terminal().block(to_json([row.document for row in self.rows]))
            return
        Terminal().table(self.head, [row.cells for row in self.rows])
        health.tell(self.asked)

    def _in_short(self, row: Row) -> str:
        """Return a row in a sentence: `shop/cart: mode http, servers 2`."""
        told = zip(self.head[1:], row.cells[1:], strict=True)
        return f"{row.about}: {', '.join(f'{name.lower()} {cell}' for name, cell in told if cell)}"

    def _draw(self, terminal: Terminal) -> None:
        room = max(1, watching.room() - len(health.remarks(self.asked)) - 1)
        rows: Sequence[Row] = self.rows
        if len(rows) > room:
            rows = sorted(rows, key=lambda row: not row.concerns)[:room]
        terminal.table(self.head, [row.cells for row in rows])
        if left := len(self.rows) - len(rows):
            concern = sum(row.concerns for row in self.rows) - sum(row.concerns for row in rows)
            need = f", {concern} of them not well" if concern > 0 else ""
            terminal.line(f"… and {left} more{need}, on a higher terminal or piped")
        health.tell(self.asked, terminal)


def follow(
    settings: Settings,
    source: Source,
    listed: Callable[[Snapshot, health.Asked], Listing],
    *services: str,
    as_json: bool,
) -> None:
    """Show what is listed as it changes, until Ctrl-C. `services`: what hosts are asked about; none: all, in short."""
    with health.followed(settings, source, *services, everything=not services) as followed:

        def look() -> watching.View:
            snapshot = source.snapshot()
            return listed(snapshot, followed.asked(snapshot)).view()

        watching.follow(look, as_json=as_json, wait=followed.wait)


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add `--watch`."""
    parser.add_argument(
        "--watch",
        action="store_true",
        help="until Ctrl-C, as it changes; not a terminal: a line for each change",
    )
