"""Whether this host drains, in a generation on disk: as the host is now, not as it was then."""

import msgspec

from lbsync.agent import durable, inputs
from lbsync.agent.generations import Generation
from lbsync.model.rendered import Rendered


def of(rendered: Rendered) -> bytes | None:
    """Return the host map among the files; None where the templates make none."""
    return next((file.data for file in rendered.files if file.path == inputs.HOST_MAP), None)


def bring(generation: Generation, rendered: Rendered, data: bytes | None) -> Rendered:
    """Bring the host map of a generation up to date, on disk and in what was read of it."""
    path = generation.path / inputs.HOST_MAP
    if data is None or not path.is_file():
        return rendered
    if path.read_bytes() != data:
        durable.replace_file(path, data)
    files = tuple(
        msgspec.structs.replace(file, data=data) if file.path == inputs.HOST_MAP else file
        for file in rendered.files
    )
    return msgspec.structs.replace(rendered, files=files)
