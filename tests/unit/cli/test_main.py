"""What holds before a command is even parsed."""

import os
import signal
import sys
from pathlib import Path

import pytest

from lbsync.cli import main


@pytest.mark.parametrize(("command", "waits"), [("agent", True), ("publish", True), ("ls", False)])
def test_only_a_service_keeps_a_sighup_for_later(
    command: str, waits: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--no-such-option"])
    assert (signal.SIGHUP in signal.pthread_sigmask(signal.SIG_BLOCK, set())) is waits
    assert "no-such-option" in capsys.readouterr().err or command == "ls"


def test_the_journal_is_told_that_the_reason_of_an_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`journalctl -p err -u lbsync-agent` after an upgrade that refuses a setting."""
    (tmp_path / "lbsync.toml").write_text("no_such = 1\n[etcd]\nno_such = 1\n")
    words = ["--config", str(tmp_path / "lbsync.toml"), "agent"]
    assert main(words) == 4
    assert "<" not in capfd.readouterr().err
    about = os.fstat(sys.stderr.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{about.st_dev}:{about.st_ino}")
    assert main(words) == 4
    said = capfd.readouterr().err.splitlines()
    assert len(said) > 1
    assert all(line.startswith("<3>") for line in said)
