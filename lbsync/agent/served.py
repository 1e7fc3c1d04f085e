"""What HAProxy was last proved to serve, and reading a generation back from disk."""

import msgspec

from lbsync.agent.generations import MAIN_FILE, Generation
from lbsync.agent.sections import Config
from lbsync.errors import LbsyncError
from lbsync.model.rendered import Rendered, RenderedFile


class Served(msgspec.Struct, frozen=True, eq=False):
    """A generation with its content, taken apart."""

    generation: Generation
    rendered: Rendered
    config: Config


def load(generation: Generation) -> Rendered:
    """Read a generation's files. Raises `LbsyncError` naming the file that cannot be read."""
    files = []
    for path in sorted(generation.path.rglob("*")):
        if path.name == "meta.json" and path.parent == generation.path:
            continue
        if path.is_file():
            try:
                name = str(path.relative_to(generation.path))
                files.append(RenderedFile(name, path.read_bytes(), path.stat().st_mode & 0o777))
            except OSError as error:
                raise LbsyncError(
                    f"{path}: cannot be read ({error.strerror}); give lbsync's user the right to"
                ) from error
    return Rendered(generation.digest, tuple(files))


def main_text(rendered: Rendered) -> str:
    """Return the text of `haproxy.cfg`."""
    for file in rendered.files:
        if file.path == MAIN_FILE:
            return file.data.decode(errors="surrogateescape")
    raise LbsyncError(f"generation {rendered.digest}: it has no {MAIN_FILE}")
