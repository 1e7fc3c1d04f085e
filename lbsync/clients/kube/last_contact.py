"""When something was last heard: a time that any thread may set and read."""

import time


class LastContact:
    """The last sign of life of whoever is spoken to."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self) -> None:
        """Something came just now."""
        self._at = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since something came; infinite where nothing ever did."""
        return time.monotonic() - self._at
