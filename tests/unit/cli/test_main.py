"""What holds before a command is even parsed."""

import os
import signal
import sys
from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.errors import Exit


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--publishers --nagios", "--publishers: it is not about hosts"),
        ("--publishers --fleet", "--publishers: it is not about hosts"),
        ("--publishers --hosts lb-1", "--publishers: it is not about hosts"),
        ("--hosts lb-1", "--hosts: without --fleet only this host is shown"),
        ("--hosts lb-1 --nagios", "--hosts: without --fleet only this host is shown"),
        ("--nagios --watch", "--nagios: it is one line"),
    ],
)
def test_status_answers_no_other_question_than_the_one_that_was_asked(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", *words.split()]) == Exit.REJECTED
    assert said in capsys.readouterr().err
