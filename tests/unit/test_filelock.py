"""One holds the lock; others are told which lock it is, after a time, and get it once it is let go."""

from pathlib import Path

import pytest

from lbsync.errors import Conflict
from lbsync.filelock import hold


@pytest.mark.parametrize("place", ["", "reload.lock"])
def test_a_file_or_a_directory_is_held_by_one(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    with (
        hold(path, 0.0, what="the reload lock"),
        pytest.raises(Conflict, match=r"has held the reload lock for 0\.1 s"),
    ):
        hold(path, 0.1, what="the reload lock")
    with hold(path, 0.0, what="the reload lock"):
        pass


def test_what_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "none" / "lock", 0.0, what="the lock")
