"""Writing validated changes: show them, write them in one transaction, and wait if requested."""

import argparse
from collections.abc import Collection, Sequence

from lbsync.agent.review import left_by
from lbsync.cli.context import settings_of, whoami
from lbsync.cli.fleet.wait import until_verified
from lbsync.cli.terminal import Terminal, to_json
from lbsync.clients.source import Delete, Expect, History, Put, Source
from lbsync.errors import Conflict, Exit, SettingsError
from lbsync.fleet import history
from lbsync.fleet.holds import confirmation
from lbsync.model.snapshot import Snapshot
from lbsync.schema import reading
from lbsync.schema import service_document as document
from lbsync.schema.keys import ServiceId
from lbsync.settings import Settings


def demand_contract(settings: Settings) -> None:
    """Raise `SettingsError` if keys below the prefix are no services."""
    if not settings.templates.contract:
        raise SettingsError(
            [
                f"[templates] contract: it is false, so no key below {settings.prefix} is a service; "
                "write these keys with the tool they belong to, or name another --prefix with "
                "--set templates.contract=true"
            ]
        )


def write(
    args: argparse.Namespace,
    source: Source,
    snapshot: Snapshot,
    changes: list[document.Change],
    service: ServiceId,
    *,
    action: str,
    detail: str = "",
    name: str = "",
    still_refused: Sequence[str] = (),
) -> Exit:
    """Show changes that were found good, write them unless `--dry-run` is given, and wait where that was asked for.

    `snapshot`: what they were made from. `name`: what is changed, where it is not the whole service.
    `still_refused`: sentences on what was refused before and stays so. Raises `Conflict` when somebody else was faster.
    """
    terminal, name = Terminal(), name or str(service)
    if not changes:
        terminal.line(f"{name}: unchanged")
        return wait_for(args, source, snapshot.revision, {str(service)})
    show(terminal, changes)
    if args.dry_run:
        terminal.line(f"{name}: would be written; nothing was, because of --dry-run")
        return Exit.CHANGED
    revision = commit(source, snapshot, changes, service, action=action, detail=detail)
    terminal.line(f"{name}: written at revision {revision}")
    for sentence in still_refused:
        terminal.line(f"still refused, as it was: {sentence}")
    return wait_for(args, source, revision, {str(service)})


def wait_for(
    args: argparse.Namespace, source: Source, revision: int, services: Collection[str]
) -> Exit:
    """Wait for the fleet, where that was asked for. `services`: that are looked at in any case."""
    if args.wait is None:
        return Exit.OK
    ended = until_verified(
        settings_of(args), source, revision, timeout=args.wait, services=services
    )
    Terminal().block(str(ended))
    return ended.code


def show(terminal: Terminal, changes: Sequence[document.Change]) -> None:
    """Write what would change, key by key."""
    for change in changes:
        before = pretty(change.before.value) if change.before else ""
        after = pretty(change.after) if change.after is not None else ""
        terminal.diff(before, after, f"{change.key} (stored)", change.key)


def pretty(value: bytes) -> str:
    """Return JSON indented, anything else as text."""
    try:
        return to_json(reading.plain(value))
    except reading.Unreadable:
        return value.decode(errors="backslashreplace")


def operations(changes: Sequence[document.Change]) -> tuple[list[Expect], list[Put | Delete]]:
    """Return the writes of changes, and the guards that each key is as it was when they were made."""
    expect = [
        Expect(change.key, mod_revision=change.before.mod_revision if change.before else 0)
        for change in changes
    ]
    return expect, [
        Delete(change.key) if change.after is None else Put(change.key, change.after)
        for change in changes
    ]


def commit(
    source: Source,
    snapshot: Snapshot,
    changes: list[document.Change],
    service: ServiceId,
    *,
    action: str,
    detail: str = "",
) -> int:
    """Write in one step, and say with it that what is taken away is meant, and who did it; return the
    revision.

    `snapshot`: what the changes were made from; `action`, `detail`: for the history. Raises `Conflict`
    when somebody else was faster.
    """
    extras: list[history.Ops] = []
    # A directory of files is one host's own: it has no leases, and no guard of others.
    if isinstance(source, History):
        if (left := left_by(document.stored(snapshot, service), changes)) is not None:
            # Who may not confirm may still write; the guard decides then.
            extras.append([confirmation(source, {str(service): left}, whoami())])
        told = detail or ", ".join(change.key for change in changes)
        extras.append(history.entry(source, whoami(), action, str(service), told))
    try:
        return history.commit(source, *operations(changes), *extras)
    except Conflict as error:
        raise Conflict(
            f"{service}: somebody else changed it meanwhile, nothing was written; look and try again"
        ) from error
