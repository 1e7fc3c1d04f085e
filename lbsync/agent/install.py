"""Further files: rendered like HAProxy's, installed at their own place on the host.

Each is checked by its own command before it is put in place, and its reader is told by another
after. One that fails does not stop the others, nor HAProxy.
"""

import grp
import os
import pwd
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from lbsync.clients import programs
from lbsync.errors import LbsyncError, Unavailable
from lbsync.settings import Output

COMMAND_TIMEOUT_S = 60.0
"""Seconds a check or reload command may take."""


class Installed(msgspec.Struct, frozen=True):
    """What became of the installed files."""

    changed: tuple[str, ...]
    """Paths that were replaced and whose readers were told."""
    failed: tuple[str, ...]
    """A sentence for each that was not."""


def install(outputs: tuple[Output, ...], texts: Mapping[str, bytes]) -> Installed:
    """Bring every output of `outputs` that has a text in `texts` (by absolute path) to it."""
    changed, failed = [], []
    for output in outputs:
        if output.path in texts:
            try:
                if _install(output, texts[output.path]):
                    changed.append(output.path)
            except (LbsyncError, OSError) as error:
                failed.append(f"{output.path}: {error}")
    return Installed(tuple(changed), tuple(failed))


def examine(output: Output, text: bytes) -> None:
    """Let an output's own check judge a text, in a directory that is removed again.

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
    # Dotted, beside its place: one rename puts it there, and no *.conf pattern picks it up before.
    draft = path.with_name(f".{path.name}.lbsync")
    try:
        _write(output, draft, text)
        _run(output.check, {"src": str(draft), "dest": str(path)}, "its check refused it")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    try:
        _run(output.reload, {"src": str(path), "dest": str(path)}, "its reload command failed")
    except LbsyncError:
        # Put back: equal files must mean that the reader was told, or it never would be again.
        if old is None:
            path.unlink()
        else:
            _write(output, draft, old)
            draft.replace(path)
        raise
    return True


def _write(output: Output, draft: Path, text: bytes) -> None:
    try:
        owner = pwd.getpwnam(output.owner).pw_uid if output.owner else -1
        group = grp.getgrnam(output.group).gr_gid if output.group else -1
    except KeyError as error:
        raise LbsyncError(
            f"no such account on this host: {error}; correct its owner or group"
        ) from error
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
        # Owner before mode: chown clears set-id bits, and nobody may read before both are right.
        os.fchown(handle, owner, group)
        os.fchmod(handle, int(output.mode))


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
