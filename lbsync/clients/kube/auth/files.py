"""Files that others rotate: tokens, certificates, authorities."""

import time
from pathlib import Path

from lbsync.atomic import FileMark, mark
from lbsync.errors import Unavailable

EVERY = 60.0
"""Seconds between two looks at a file. The kubelet renews a projected token when 80 % of its life
is over (Kubernetes documentation, "Service account token projection"): a minute is early enough."""


class RotatedFile:
    """The content of a file, read again when it changed. Not thread-safe."""

    def __init__(self, path: Path, every: float = EVERY) -> None:
        self.path = path
        self._every = every
        self._look_at = float("-inf")
        self._stamp: FileMark | None = None
        self._content: bytes | None = None

    def read(self) -> bytes:
        """Return the content, as it was at most `every` seconds ago.

        A file that is gone for a moment (between unlink and rename), or empty (it is being written),
        keeps its last content, and is looked at again on the next occasion; raises `Unavailable` only
        when there never was one.
        """
        now = time.monotonic()
        if self._content is not None and now < self._look_at:
            return self._content
        try:
            stamp = mark(self.path.stat())
            if self._content is None or stamp != self._stamp:
                content = self.path.read_bytes()
                if not content:
                    return self._content or content
                self._content, self._stamp = content, stamp
        except OSError as error:
            if self._content is None:
                raise Unavailable(f"{self.path}: cannot be read ({error.strerror})") from error
            return self._content
        self._look_at = now + self._every
        return self._content

    def text(self) -> str:
        """Return `read` as one line of ASCII, as an HTTP header can carry it."""
        return self.read().decode("ascii", "ignore").strip()

    def expire(self) -> None:
        """Read the file on the next occasion, whatever its age says."""
        self._look_at = float("-inf")
        self._stamp = None


class Fixed:
    """Content that stands in the configuration itself; reads like a file that never changes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        """Return what the file held when it was read last."""
        return self._content

    def text(self) -> str:
        """Return `read` as one line of ASCII."""
        return self._content.decode("ascii", "ignore").strip()

    def expire(self) -> None:
        """Nothing to look at again."""


Content = RotatedFile | Fixed
"""Either; who uses it need not know."""
