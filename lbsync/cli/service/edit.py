"""`lbsync service edit`: a service as a text in an editor, which opens again with the reasons if it is refused."""

import argparse
import os
import shlex
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from lbsync.agent.review import review
from lbsync.cli.context import settings_of
from lbsync.cli.service import arguments
from lbsync.cli.service.writing import write
from lbsync.cli.terminal import Terminal
from lbsync.clients import programs
from lbsync.clients.files.contents import dump_yaml
from lbsync.clients.source import Source
from lbsync.errors import Conflict, Exit, LbsyncError, Rejected
from lbsync.model.snapshot import Snapshot
from lbsync.schema import service_document as document
from lbsync.schema.keys import ServiceId

_OURS = "#| "
"""What lines begin with that this command puts above the text, and takes away again."""
_HEAD = """\
Service {service}, as it is stored; lines like this one do not count.
Save and leave the editor: what changed is checked, shown and written. A part that is taken out is removed.
To leave all as it is: change nothing, or save an empty file."""


def edit(args: argparse.Namespace, source: Source) -> Exit:
    """Have the service edited, and write what came of it.

    Raises `Rejected` for a service that is not there, and for a text that is refused and handed back as it was;
    `Conflict` when somebody else changed a key meanwhile. The text of the user is kept then.
    """
    service, settings = args.service, settings_of(args)
    snapshot = source.snapshot()
    stored = document.stored(snapshot, service)
    if not stored:
        raise Rejected(
            f"{service}: there is no such service; 'lbsync service ls' shows all, and 'service put' makes one"
        )
    document.refuse_foreign(stored, force=args.force)
    with _Draft(service, dump_yaml(document.compose(stored, service)).decode()) as draft:
        wrong = ""
        while True:
            before = draft.text
            draft.edit(wrong)
            if not draft.text.strip():
                Terminal().line(f"{service}: the text is empty, so nothing was written")
                return Exit.OK
            try:
                changes = _changes(draft.text, snapshot, service)
                review(snapshot, changes, service, settings)
            except Rejected as error:
                if draft.text == before:
                    raise
                wrong = str(error)
                continue
            return write(args, source, snapshot, changes, service, action="service edit")


def _changes(text: str, snapshot: Snapshot, service: ServiceId) -> list[document.Change]:
    """Return what the text asks for, found good key by key. Raises `Rejected`."""
    wanted = arguments.parse(text.encode(), service)
    stored = document.stored(snapshot, service)
    if "service" not in wanted and f"services/{service}" in stored:
        raise Rejected(
            f"{service}: the part service is missing; 'lbsync service rm {service}' removes it"
        )
    changes = document.changes(stored, {"endpoints": {}, **wanted}, service)
    if "route" not in wanted:
        changes += document.removal_of_route(stored, service)
    document.validate(changes)
    return changes


class _Draft:
    """A file with the text, readable by this user alone. It stays, and that is told, where the text was changed
    and a `with` block ends in a fault."""

    def __init__(self, service: ServiceId, text: str) -> None:
        self.text = self._stored = text
        self._service = service
        try:
            handle, name = tempfile.mkstemp(
                prefix=f"lbsync-{service.ns}-{service.name}-", suffix=".yaml"
            )
            os.close(handle)
        except OSError as error:
            raise LbsyncError(
                f"{tempfile.gettempdir()}: no file can be made there ({error.strerror}); set TMPDIR"
            ) from error
        self.path = Path(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the file, or say where it is and what to do with it."""
        if error is None or not self._is_changed():
            self.path.unlink(missing_ok=True)
            return
        then = f"correct it and 'lbsync service put {self._service} -f {self.path}'"
        if isinstance(error, Conflict):
            then = f"'lbsync service get {self._service}' shows what is stored now; then {then}"
        Terminal(sys.stderr).line(f"your text is kept in {self.path}: {then}")

    def _is_changed(self) -> bool:
        try:
            return _without_ours(self.path.read_bytes()) != self._stored.encode()
        except OSError:
            return False

    def edit(self, wrong: str) -> None:
        """Let the user change the text; `wrong`: why it was refused as it is. Raises `Unavailable`, `Rejected`."""
        said = _HEAD.format(service=self._service)
        if wrong:
            said = f"REFUSED: {wrong}\n{said}"
        above = "".join(f"{_OURS}{line}\n" for line in said.splitlines())
        try:
            self.path.write_text(f"{above}{self.text}")
            if rc := programs.at_terminal([*_editor(), str(self.path)]):
                raise Rejected(f"the editor ended with {rc}, so nothing was written")
            found = _without_ours(self.path.read_bytes()).decode()
        except OSError as error:
            raise LbsyncError(f"{self.path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise Rejected(f"the text is no UTF-8 ({error.reason}); nothing was written") from error
        self.text = found


def _without_ours(data: bytes) -> bytes:
    ours = _OURS.rstrip().encode()
    return b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(ours))


def _editor() -> list[str]:
    """Return the command of the user's editor. Raises `Rejected`."""
    for name in ("VISUAL", "EDITOR"):
        if text := os.environ.get(name, "").strip():
            try:
                return shlex.split(text)
            except ValueError as error:
                raise Rejected(f"{name}: {text!r} is no command: {error}") from error
    return ["vi"]
