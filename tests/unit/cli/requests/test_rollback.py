from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.errors import Exit


def test_a_list_where_nothing_is_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty table looks like a host that has lost its generations."""
    gone = tmp_path / "gone"
    assert main(["--state-dir", str(gone), "rollback", "--list"]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err == (
        f"lbsync: {gone}: no such directory; is this the host, and --state-dir right?\n"
    )
    assert main(["--state-dir", str(tmp_path), "rollback", "--list"]) == 0
    assert capsys.readouterr().out == (
        f"{tmp_path}: no generation is here yet; the agent's first pass makes one\n"
    )
