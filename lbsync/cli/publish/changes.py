"""What a publisher would write, shown as a diff or as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lbsync.cli.terminal import Terminal, to_json
from lbsync.publisher.service_changes import ServiceChanges
from lbsync.publisher.store.diff import Change
from lbsync.schema import reading
from lbsync.values.plural import count


class Shown(msgspec.Struct, frozen=True):
    """One key that would be written or removed."""

    service: str
    key: str
    action: str
    """`create`, `change` or `remove`."""
    before: Any
    after: Any


class Said(msgspec.Struct, frozen=True):
    """What is said beside the changes."""

    published: str
    """How many Services are published, and how many are not."""
    troubles: Sequence[str] = ()
    warnings: Mapping[str, Sequence[str]] = {}
    """What the owner of each object is told, by kind and name."""


def show(terminal: Terminal, units: Sequence[ServiceChanges], said: Said, *, as_json: bool) -> None:
    """Print the changes and what owners would be told."""
    changes = [_shown(unit.name, change) for unit in units for change in unit.changes]
    warnings = {name: found for name, found in sorted(said.warnings.items()) if found}
    if as_json:
        found = {"changes": changes, "troubles": list(said.troubles), "warnings": warnings}
        terminal.block(to_json(found))
        return
    for unit in units:
        for change in unit.changes:
            terminal.diff(
                _text(change.before.item.value if change.before else None),
                _text(change.after),
                f"{change.key} (stored)",
                change.key,
            )
    for sentence in said.troubles:
        terminal.line(terminal.paint(sentence, "yellow"))
    for sentences in warnings.values():
        for sentence in sentences:
            terminal.line(terminal.paint(f"warning: {sentence}", "yellow"))
    verb = (
        f"{count(len(changes), 'key')} would be written" if changes else "nothing would be written"
    )
    what = verb if changes or said.troubles else "all is in step"
    terminal.line(f"{what}; {said.published}")


def _shown(service: str, change: Change) -> Shown:
    action = "remove" if change.after is None else "change" if change.before else "create"
    before = change.before.item.value if change.before else None
    return Shown(service, change.key, action, _parsed(before), _parsed(change.after))


def _parsed(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return reading.plain(value)
    except reading.Unreadable:
        return value.decode(errors="backslashreplace")


def _text(value: bytes | None) -> str:
    parsed = _parsed(value)
    return "" if parsed is None else parsed if isinstance(parsed, str) else to_json(parsed)
