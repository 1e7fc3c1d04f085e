"""What HAProxy was last verified to serve, and reading a generation back from disk."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from lbsync.agent.generations.store import Generation, Store
from lbsync.agent.haproxycfg.config import Config, Parser, main_data
from lbsync.errors import LbsyncError, Rejected
from lbsync.model.rendered import Rendered, RenderedFile

_CARRIED = re.compile(rb"^[ \t]*(?:server-state-file|stats-file)[ \t]+(\S+)", re.MULTILINE)


class LoadedGeneration(msgspec.Struct, frozen=True, eq=False):
    """A generation with its content, taken apart."""

    generation: Generation
    rendered: Rendered
    config: Config


def find(store: Store, name: str) -> Generation:
    """Return the generation called `name`: `41`, `41-1f0c…` or `1f0c`. Raises `Rejected`."""
    number, _, _ = name.partition("-")
    for generation in store.list():
        if name in (str(generation.seq), generation.name) or number == str(generation.seq):
            return generation
    if len(name) >= 4 and (found := store.by_digest(name)) is not None:
        return found
    raise Rejected(
        f"there is no generation {name!r} on this host; 'lbsync rollback --list' shows all"
    )


def previous(store: Store) -> Generation | None:
    """Return the newest generation before the live one that was served, and is another; None if there is
    none."""
    live = store.live()
    for generation in store.list():
        is_other = live is None or generation.digest != live.digest
        is_older = live is None or generation.seq < live.seq
        if is_other and is_older and generation.meta.confirmed_at:
            return generation
    return None


def chosen(store: Store, digest: str) -> Generation:
    """Return the generation that an operator chose. Raises `Rejected` when it is gone."""
    wanted = store.by_digest(digest)
    if wanted is None:
        raise Rejected(
            f"rolled back to {digest}, but there is no such generation any more; "
            "`lbsync rollback --release` follows the source again"
        )
    return wanted


def parsed(generation: Generation, parser: Parser) -> LoadedGeneration:
    """Read a generation back and parse its `haproxy.cfg`. Raises `LbsyncError` as `load` does."""
    rendered = load(generation)
    return LoadedGeneration(generation, rendered, parser.read(main_data(rendered)))


def load(generation: Generation) -> Rendered:
    """Read a generation's files, as they were rendered: without what was added to it since.

    Raises `LbsyncError` naming the file that cannot be read.
    """
    files = []
    added = {generation.path / "meta.json", *_carried_files(generation)}
    for path in sorted(generation.path.rglob("*")):
        if path.is_file() and path not in added:
            try:
                name = str(path.relative_to(generation.path))
                files.append(RenderedFile(name, path.read_bytes(), path.stat().st_mode & 0o777))
            except OSError as error:
                raise LbsyncError(
                    f"{path}: cannot be read ({error.strerror}); give lbsync's user the right to"
                ) from error
    return Rendered(generation.digest, tuple(files))


def _carried_files(generation: Generation) -> Iterator[Path]:
    """Yield where the servers' states and the counters of the last reload were left for HAProxy."""
    with contextlib.suppress(OSError):
        for found in _CARRIED.findall(generation.main_file.read_bytes()):
            yield generation.path / Path(os.fsdecode(found)).name
