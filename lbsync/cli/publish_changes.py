"""What a publisher would write, shown as a diff or as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lbsync.cli.terminal import Terminal, count, to_json
from lbsync.publisher.mirror import Change
from lbsync.publisher.units import State, Unit
from lbsync.schema import reading


class Shown(msgspec.Struct, frozen=True):
    """One key that would be written or removed."""

    service: str
    key: str
    action: str
    """`create`, `change` or `remove`."""
    before: Any
    after: Any


def show(
    terminal: Terminal, units: Sequence[Unit], states: Mapping[str, State], *, as_json: bool
) -> None:
    """Print the changes and what owners would be told."""
    changes = [_shown(unit.name, change) for unit in units for change in unit.changes]
    said = {
        name: [text for text in (state.refused, state.held) if text]
        for name, state in sorted(states.items())
        if state.refused or state.held
    }
    if as_json:
        terminal.line(to_json({"changes": changes, "troubles": said}))
        return
    for unit in units:
        for change in unit.changes:
            terminal.diff(
                _text(change.before.item.value if change.before else None),
                _text(change.after),
                f"{change.key} (stored)",
                change.key,
            )
    for sentences in said.values():
        for sentence in sentences:
            terminal.line(terminal.paint(sentence, "yellow"))
    published = sum(state.standing == "published" for state in states.values())
    what = f"{count(len(changes), 'key')} would be written" if changes else "all is in step"
    terminal.line(f"{what}; {count(published, 'service')} published")


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
