"""What a person has to know about files that were converted."""

from pathlib import Path

import msgspec


class Remark(msgspec.Struct, frozen=True):
    """One thing that could not be taken over as it is, or that works in another way."""

    file: Path
    line: int
    """1 for the first; 0 if it concerns the whole file."""
    text: str
    is_open: bool
    """Somebody must do something about it before the result works as before."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return f"{place}: {self.text}"


class Remarks:
    """Those of one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.all: list[Remark] = []

    def tell(self, line: int, text: str) -> None:
        """Note what a person should know."""
        self._add(line, text, is_open=False)

    def leave_open(self, line: int, text: str) -> None:
        """Note what a person must mend."""
        self._add(line, text, is_open=True)

    def _add(self, line: int, text: str, *, is_open: bool) -> None:
        remark = Remark(self.file, line, text, is_open)
        if remark not in self.all:
            self.all.append(remark)
