"""What holds before a command is even parsed."""

import signal

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
