"""The generations on disk: rendered sets, one of them live, one of them confirmed.

    <state>/generations/.staging-…    being written or checked; never live
    <state>/generations/7-1f0c…/      complete; `haproxy.cfg`, `maps/`, `meta.json`
    <state>/generations/.left-…       empty, and kept: HAProxy's master may stand in it
    <state>/live -> generations/7-1f0c…       what HAProxy reads when it starts or reloads
    <state>/confirmed -> generations/7-1f0c…  what a running HAProxy was last verified to serve

The rendered files of a generation never change once staged. Going live is one rename of a link, so a reader of `live`
sees one whole set or the other. Everything is on disk (fsync) before it can be named.
"""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

import msgspec

from lbsync.agent.file_names import MAIN_FILE
from lbsync.agent.generations import durable
from lbsync.agent.generations.master_directory import MasterDirectory
from lbsync.atomic import replace_file, replace_link, sweep, sync
from lbsync.errors import ApplyFailed, LbsyncError, cannot
from lbsync.model.rendered import Rendered
from lbsync.schema import reading

_META_FILE = "meta.json"
_NAME = re.compile(r"(\d+)-([0-9a-f]+)")
_STAGING = ".staging-"
_REMOVED = ".doomed-"
_LEFT = ".left-"


class Meta(msgspec.Struct, frozen=True):
    """What is known of a generation besides its files."""

    digest: str
    revision: int = 0
    """Revision of the source it was rendered from; 0 if unknown."""
    created_at: float = 0.0
    """`time.time()` of staging."""
    confirmed_at: float | None = None
    """`time.time()` of the last proof that HAProxy serves it; None: never proved."""
    base: str = ""
    """Digest of the generation that HAProxy loaded, where runtime changes then made it this one:
    `show info` goes on to say that digest. Empty: HAProxy loaded this one itself."""
    entered: bool = False
    """A reload failed while it was live, so HAProxy's master may have stayed in its directory."""


class Generation(msgspec.Struct, frozen=True):
    """A complete set of files on disk."""

    seq: int
    """Counts up with each staging; 0 while the set is staged and has no number yet."""
    path: Path
    meta: Meta

    @property
    def digest(self) -> str:
        """The digest of its content, as `Rendered.digest`."""
        return self.meta.digest

    @property
    def name(self) -> str:
        """Its directory's name, `7-1f0c…`."""
        return self.path.name

    @property
    def main_file(self) -> Path:
        """The root configuration file."""
        return self.path / MAIN_FILE


class Store:
    """The generations under one state directory. One process writes at a time (see `apply`)."""

    def __init__(
        self, state_dir: Path | str, keep: int, master: MasterDirectory | None = None
    ) -> None:
        """`keep`: how many generations `prune` leaves, besides the live and the confirmed one.
        `master`: tells which directories must stay; None if no HAProxy is asked, as all do then.
        It may be exchanged at any time."""
        self.master = master
        self._state = Path(state_dir)
        self._root = self._state / "generations"
        self._keep = keep

    @property
    def live_link(self) -> Path:
        """The link HAProxy is started with: `-f <live>/haproxy.cfg`."""
        return self._state / "live"

    def stage(self, rendered: Rendered, revision: int = 0) -> Generation:
        """Write a set to disk, out of everybody's way, to be checked and then made live.

        Raises `ApplyFailed` when the disk does not take it; nothing is left behind, and what is
        live stays as it is.
        """
        path = self._root / f"{_STAGING}{os.getpid()}-{time.monotonic_ns()}"
        meta = Meta(rendered.digest, revision, time.time())
        try:
            durable.closed_directory(self._root)
            files = [(file.path, file.data, file.mode) for file in rendered.files]
            durable.write_tree(path, [*files, (_META_FILE, msgspec.json.encode(meta), 0o644)])
        except OSError as error:
            shutil.rmtree(path, ignore_errors=True)
            raise ApplyFailed(
                f"{self._root}: the new generation {cannot('be written', error)}; what is live stays as it is"
            ) from error
        return Generation(0, path, meta)

    def discard(self, generation: Generation) -> None:
        """Remove a set that will not go live, or that HAProxy did not take.

        Never the live one or one that was verified once, and never fails: `sweep` would find the rest.
        """
        if generation.meta.confirmed_at or (generation.seq and generation.name in self._pinned()):
            return
        self._mark_for_removal(generation)
        self._remove(_REMOVED)

    def make_live(self, generation: Generation) -> Generation:
        """Point `live` at a generation, by one rename; return it, numbered if it was staged.

        Raises `ApplyFailed` when the disk does not take it; what was live then still is.
        """
        try:
            numbered = self._number(generation) if generation.seq == 0 else generation
            self._point(self.live_link, numbered)
        except OSError as error:
            raise ApplyFailed(
                f"{self.live_link}: cannot be pointed at the new generation: "
                f"{error.strerror or error}; what was live still is"
            ) from error
        return numbered

    def mark_confirmed(self, generation: Generation, base: str = "") -> Generation:
        """Record, durably, that a running HAProxy was verified to serve this generation.

        `base` is what HAProxy calls itself where it came here by runtime changes. Raises
        `LbsyncError` when the disk does not take the record.
        """
        meta = msgspec.structs.replace(generation.meta, confirmed_at=time.time(), base=base)
        try:
            replace_file(generation.path / _META_FILE, msgspec.json.encode(meta))
            self._point(self._state / "confirmed", generation)
        except OSError as error:
            raise LbsyncError(
                f"{generation.path}: served and proved, but the record of it cannot be written: "
                f"{error.strerror or error}"
            ) from error
        return msgspec.structs.replace(generation, meta=meta)

    def note_failure(self, live: Generation) -> Generation:
        """Remember that the reload to a generation failed. Never fails: it is a precaution."""
        if self.master is not None:
            self.master.has_new_failure()  # this one is known now
        return _mark_entered(live)

    def look_for_failure(self) -> bool:
        """See whether somebody else's reload failed; then the master may stand in any of these.

        To be asked before a reload, since one that succeeds takes the trace away. Never fails.
        """
        if self.master is None or not self.master.has_new_failure():
            return False
        for found in self.list():
            _mark_entered(found)
        return True

    def live(self) -> Generation | None:
        """Return the generation that HAProxy reads at its next start, or None."""
        return self._target(self.live_link)

    def confirmed(self) -> Generation | None:
        """Return the generation that was last verified to be served, or None."""
        return self._target(self._state / "confirmed")

    def list(self) -> list[Generation]:
        """Return all complete generations, the newest first."""
        try:
            entries = [entry for entry in self._root.iterdir() if _NAME.fullmatch(entry.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LbsyncError(f"{self._root}: cannot be listed: {error.strerror}") from error
        return sorted((_load(entry) for entry in entries), key=lambda found: -found.seq)

    def by_digest(self, digest: str) -> Generation | None:
        """Return the newest generation whose digest begins with `digest`, or None."""
        return next((found for found in self.list() if found.digest.startswith(digest)), None)

    def newest(self, digest: str) -> Generation | None:
        """Return the newest generation of all where it has this digest and was verified once, or None."""
        found = next(iter(self.list()), None)
        return found if found and found.digest == digest and found.meta.confirmed_at else None

    def prune(self) -> int:
        """Remove what is beyond the number to keep; return how many went.

        What was proved again under a newer number counts once. The live and the confirmed one always
        stay. Never fails: what cannot be removed now is tried again next time.
        """
        every = self.list()
        proved = {one.digest: one.seq for one in reversed(every) if one.meta.confirmed_at}
        once = [one.name for one in every if one.seq >= proved.get(one.digest, 0)]
        stay = self._pinned().union(once[: self._keep])
        excess = [one for one in every if one.name not in stay]
        if excess and self.look_for_failure():
            excess = [_load(found.path) for found in excess]
        for found in excess:
            self._mark_for_removal(found)
        self._remove(_REMOVED)
        return len(excess)

    def sweep(self) -> None:
        """Remove what a killed process left half done. Only while no other process stages.

        Never fails: staging will say what is wrong with the disk.
        """
        self._remove(_STAGING)
        self._remove(_REMOVED)
        for directory in (self._state, self._state / "control"):
            sweep(directory)

    def _pinned(self) -> set[str]:
        return {found.name for found in (self.live(), self.confirmed()) if found}

    def _mark_for_removal(self, generation: Generation) -> None:
        # Renamed first: a removal that is cut short must not leave half a generation behind under
        # a name that promises a whole one.
        entered = generation.meta.entered or self._master_is_in(generation)
        prefix = _LEFT if entered else _REMOVED
        with contextlib.suppress(OSError):
            generation.path.rename(self._root / f"{prefix}{generation.name}")

    def _master_is_in(self, generation: Generation) -> bool:
        if generation.seq == 0 or self.master is None:
            return False  # what was never live was never entered
        return bool(self.master.is_in(generation.path))

    def _remove(self, prefix: str) -> None:
        for leftover in self._root.glob(f"{prefix}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for leftover in self._root.glob(f"{_LEFT}*"):
            durable.empty(leftover)
            if self.master is not None and not self.master.may_be_in(leftover):
                with contextlib.suppress(OSError):
                    leftover.rmdir()

    def _number(self, staged: Generation) -> Generation:
        newest = next(iter(self.list()), None)
        seq = newest.seq + 1 if newest else 1
        path = self._root / f"{seq}-{staged.digest}"
        staged.path.rename(path)
        sync(self._root)
        return msgspec.structs.replace(staged, seq=seq, path=path)

    def _point(self, link: Path, generation: Generation) -> None:
        if link.is_dir() and not link.is_symlink():
            raise OSError(f"{link} is a directory, not a link that lbsync made; move it away")
        replace_link(link, Path("generations") / generation.name)

    def _target(self, link: Path) -> Generation | None:
        try:
            name = link.readlink().name
        except OSError:
            return None
        path = self._root / name
        return _load(path) if _NAME.fullmatch(name) and path.is_dir() else None


def _mark_entered(generation: Generation) -> Generation:
    meta = msgspec.structs.replace(generation.meta, entered=True)
    with contextlib.suppress(OSError):
        replace_file(generation.path / _META_FILE, msgspec.json.encode(meta))
    return msgspec.structs.replace(generation, meta=meta)


def _load(path: Path) -> Generation:
    seq, digest = path.name.split("-", 1)
    try:
        meta = reading.record((path / _META_FILE).read_bytes(), Meta)
    except (OSError, reading.Unreadable):
        meta = Meta(digest)  # the name tells what matters most
    return Generation(int(seq), path, meta)
