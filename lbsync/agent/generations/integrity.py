"""Whether the live generation on disk is still what was rendered; somebody may have changed or removed a file.

The running HAProxy is not affected, but its next start would be.
"""

from lbsync.agent.generations.store import Generation
from lbsync.model.rendered import Rendered

_Mark = tuple[int, int, int]


class IntegrityCheck:
    """Compares files; one is read again only when its time, size or inode is another than before."""

    def __init__(self, but: str) -> None:
        """`but`: a file that is changed on purpose."""
        self._but = but
        self._generation = ""
        self._found_right: dict[str, _Mark] = {}

    def damaged(self, generation: Generation, rendered: Rendered) -> str:
        """Return the first file that is not as rendered any more; empty: all are."""
        if self._generation != generation.name:
            self._generation, self._found_right = generation.name, {}
        for file in rendered.files:
            if file.path == self._but:
                continue
            path = generation.path / file.path
            try:
                stat = path.stat()
                mark = stat.st_mtime_ns, stat.st_size, stat.st_ino
                if self._found_right.get(file.path) == mark:
                    continue
                if path.read_bytes() != file.data:
                    return file.path
            except OSError:
                return file.path
            self._found_right[file.path] = mark
        return ""
