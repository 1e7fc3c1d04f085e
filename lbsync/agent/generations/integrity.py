"""Whether the live generation on disk is still what was rendered; somebody may have changed or removed a file.

The running HAProxy is not affected, but its next start would be.
"""

from lbsync.agent.generations.store import Generation
from lbsync.atomic import FileMark, mark
from lbsync.model.rendered import Rendered


class IntegrityCheck:
    """Compares files; one is read again only when its mark is another than before."""

    def __init__(self, but: str) -> None:
        """`but`: a file that is changed on purpose."""
        self._but = but
        self._generation = ""
        self._found_right: dict[str, FileMark] = {}

    def damaged(self, generation: Generation, rendered: Rendered) -> str:
        """Return the first file that is not as rendered any more; empty: all are."""
        if self._generation != generation.name:
            self._generation, self._found_right = generation.name, {}
        for file in rendered.files:
            if file.path == self._but:
                continue
            path = generation.path / file.path
            try:
                seen = mark(path.stat())
                if self._found_right.get(file.path) == seen:
                    continue
                if path.read_bytes() != file.data:
                    return file.path
            except OSError:
                return file.path
            self._found_right[file.path] = seen
        return ""
