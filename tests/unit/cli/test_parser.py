"""The command line itself: flags, help, errors and exit codes."""

import os
from pathlib import Path

import pytest

from lbsync.cli import main
from lbsync.cli.context import source_opened
from lbsync.cli.parser import COMMANDS, parse
from lbsync.errors import Exit, Unavailable
from lbsync.settings import load
from lbsync.settings.read import NAMES, TABLES, flag


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("LBSYNC_")]:
        monkeypatch.delenv(name)
    empty = tmp_path / "empty.toml"
    empty.write_text(f'state_dir = "{tmp_path}/state"\n')
    monkeypatch.setenv("LBSYNC_CONFIG", str(empty))
    monkeypatch.setenv("COLUMNS", "100")


def test_flags_may_stand_before_and_after_the_command() -> None:
    args = parse(
        ["--prefix", "/a/", "--set", "agent.debounce=1ms", "render", "--source", "file:x",
         "--set", "log.level=debug"]
    )  # fmt: skip

    assert args.flags == {
        "prefix": "/a/",
        "agent.debounce": "1ms",
        "source": "file:x",
        "log.level": "debug",
    }


def test_a_message_about_a_flag_names_one_that_exists() -> None:
    for name in set(NAMES) - TABLES.keys():
        words = flag(name).split()
        words[-1] += "=x" if words[0] == "--set" else ""
        assert parse(["check", *words, *(["x"] if len(words) == 1 else [])]).flags == {
            ".".join(filter(None, name)): "x"
        }
    assert flag(("", "state_dir")) == "--state-dir"
    assert flag(("agent", "resync")) == "--set agent.resync"


def test_the_later_of_two_flags_wins() -> None:
    assert parse(["--prefix", "/a/", "check", "--prefix", "/b/"]).flags == {"prefix": "/b/"}
    assert parse(["--config", "a", "check"]).config == Path("a")
    assert parse(["--config", "a", "check", "--config", "b"]).config == Path("b")


def test_two_command_lines_do_not_share_flags() -> None:
    parse(["--prefix", "/a/", "version"])

    assert parse(["version"]).flags == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])

    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert f"usage: lbsync {command}" in shown
    assert "example" in shown or command == "version"


@pytest.mark.parametrize(
    "command",
    ["rollback", "confirm", "release", "drain", "undrain", "prepare", "fleet", "server", "service"],
)
def test_the_help_of_a_command_tells_its_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])

    assert "exit codes: 0 " in capsys.readouterr().out


@pytest.mark.parametrize("action", ["ls", "get", "put", "rm"])
def test_every_action_on_services_has_its_own_help(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["service", action, "--help"])

    assert ended.value.code == 0
    assert f"usage: lbsync service {action}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [["nope"], ["--set", "x", "version"], ["service", "get", "Shop/Cart"]]
)
def test_a_wrong_command_line_ends_with_code_2(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)

    assert ended.value.code == Exit.USAGE
    said = capsys.readouterr()
    assert "lbsync" in said.err + said.out


def test_all_wrong_settings_are_listed_and_the_code_is_4(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["render", "--set", "agent.debounce=5", "--log-level", "loud"])

    assert code == Exit.SETTINGS
    assert capsys.readouterr().err.splitlines() == [
        "lbsync: 2 settings are wrong:",
        "  --set agent.debounce: '5' is no duration: write a number with its unit, like 50ms, 2s or 5m",
        "  --log-level: 'loud' is none of debug, info, warning, error",
    ]


def test_an_error_is_one_sentence_and_its_own_code(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["status"]) == Exit.UNAVAILABLE

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"lbsync: {tmp_path}/state/status.json: there is no such file")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({}, "refused; name yours with [etcd] endpoints or --etcd-endpoints"),
        ({"etcd.endpoints": "http://10.0.0.1:2379"}, "refused"),
    ],
)
def test_who_has_named_no_etcd_yet_is_told_how(flags: dict[str, str], told: str) -> None:
    settings = load(flags=flags, environ={})
    with pytest.raises(Unavailable) as caught, source_opened(settings):
        raise Unavailable("etcd does not answer: refused")
    assert str(caught.value) == f"etcd does not answer: {told}"


def test_a_source_that_is_not_there_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"file:{tmp_path / 'nowhere'}"
    assert main(["service", "ls", "--source", nowhere]) == Exit.UNAVAILABLE
    assert capsys.readouterr().err == (
        f"lbsync: {tmp_path}/nowhere: no such directory; create it, or correct the source\n"
    )


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["rendr"], "lbsync: there is no 'rendr' here; did you mean 'render'?"),
        (["service", "list"], "lbsync service: there is no 'list' here; did you mean 'ls'?"),
        (["service", "delete", "a/b"], "did you mean 'rm'?"),
        (["service", "put", "a/b", "--hst", "x"], "lbsync service put: unrecognized arguments: --hst x; "
         "did you mean '--host'?"),
        (["status", "--outptu=json"], "did you mean '--output'?"),
        (["service", "rm", "a/b", "--yes"], "lbsync service rm: unrecognized arguments: --yes\n"),
        (["token"], "lbsync token: say which ACTION: "),
        (["etcd-roles"], "lbsync etcd-roles: say which ROLE: agent, console, deploy, "),
        (["service", "put"], "lbsync service put: the following arguments are required: NAMESPACE/NAME"),
        (["--sorce", "x", "check"], "lbsync: unrecognized arguments: --sorce; did you mean '--source'?"),
        (["check", "qqq"], "lbsync check: unrecognized arguments: qqq\n"),
        (["zzz"], "lbsync: there is no 'zzz' here\n'lbsync --help' shows what there is"),
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_told_what_was_meant(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        ([], 2, "keep this host's HAProxy in"),
        (["help"], 0, "keep this host's HAProxy in"),
        (["help", "service"], 0, "usage: lbsync service "),
        (["help", "service", "put"], 0, "usage: lbsync service put "),
    ],
)
def test_commands_are_listed_to_whoever_asks_or_says_nothing(
    argv: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert (ended.value.code or 0) == code
    assert told in capsys.readouterr().out
