"""The host map of a generation on disk: updated to the host's current state."""

from lbsync.agent.file_names import HOST_MAP
from lbsync.agent.generations.store import Generation
from lbsync.agent.runtime.host_map import with_content
from lbsync.atomic import replace_file
from lbsync.model.rendered import Rendered


def update(generation: Generation, rendered: Rendered, data: bytes | None) -> Rendered:
    """Bring the host map of a generation up to date, on disk and in what was read of it."""
    path = generation.path / HOST_MAP
    if data is None or not path.is_file():
        return rendered
    if path.read_bytes() != data:
        replace_file(path, data)
    return with_content(rendered, data)
