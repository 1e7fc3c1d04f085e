"""Additional files: rendered like HAProxy's, installed at their own place on the host.

Each is checked by its own command before it is put in place, and another command then makes its reader
reload. A failure affects neither the other files nor HAProxy.
"""

import grp
import pwd
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lbsync.atomic import replacement
from lbsync.clients import programs
from lbsync.errors import LbsyncError, Unavailable
from lbsync.settings import Output

COMMAND_TIMEOUT_S = 60.0
"""Seconds a check or reload command may take."""


class InstallResult(msgspec.Struct, frozen=True):
    """The result of installing files."""

    changed: tuple[str, ...]
    """Paths that were replaced and whose readers reloaded."""
    failed: tuple[str, ...]
    """A sentence for each that failed."""


def install(outputs: tuple[Output, ...], texts: Mapping[str, bytes]) -> InstallResult:
    """Install every output that has a text in `texts`, by absolute path."""
    changed, failed = [], []
    for output in outputs:
        if output.path in texts:
            try:
                if _install(output, texts[output.path]):
                    changed.append(output.path)
            except (LbsyncError, OSError) as error:
                failed.append(f"{output.path}: {error}")
    return InstallResult(tuple(changed), tuple(failed))


def examine(output: Output, text: bytes) -> None:
    """Run an output's own check on a text, in a temporary directory.

    Raises `LbsyncError` with the command's words when it is refused.
    """
    if not output.check:
        return
    with tempfile.TemporaryDirectory(prefix="lbsync-check-") as folder:
        draft = Path(folder) / Path(output.path).name
        draft.write_bytes(text)
        _run(output.check, {"src": str(draft), "dest": output.path}, "its check refused it")


def _install(output: Output, text: bytes) -> bool:
    path = Path(output.path)
    old = path.read_bytes() if path.exists() else None
    if old == text:
        return False
    owner, group, mode = *_accounts(output), int(output.mode)
    with replacement(path, text, mode, owner=owner, group=group) as draft:
        _run(output.check, {"src": str(draft), "dest": str(path)}, "its check refused it")
    try:
        _run(output.reload, {"src": str(path), "dest": str(path)}, "its reload command failed")
    except LbsyncError:
        # Put back: an equal file means that the reader has reloaded, and is not retried.
        if old is None:
            path.unlink()
        else:
            with replacement(path, old, mode, owner=owner, group=group):
                pass
        raise
    return True


def _accounts(output: Output) -> tuple[int, int]:
    """Return the ids of its owner and group; -1: not set."""
    try:
        owner = pwd.getpwnam(output.owner).pw_uid if output.owner else -1
        group = grp.getgrnam(output.group).gr_gid if output.group else -1
    except KeyError as error:
        raise LbsyncError(
            f"no such account on this host: {error}; correct its owner or group"
        ) from error
    return owner, group


def _run(command: tuple[str, ...], names: dict[str, str], refusal: str) -> None:
    if not command:
        return
    argv = [_fill(word, names) for word in command]
    outcome = programs.run(argv, COMMAND_TIMEOUT_S)
    if outcome.rc != 0:
        said = outcome.said[-2000:] or "it said nothing"
        raise Unavailable(f"{refusal} ({argv[0]} ended with {outcome.rc}): {said}")


def _fill(word: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        word = word.replace("{" + name + "}", value)
    return word
