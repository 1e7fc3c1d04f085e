"""Completion in real shells, and the manual in a real formatter."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lbsync.cli.reference.__main__ import FILES, write
from lbsync.cli.reference.tree import Command, command_line, setting_names
from lbsync.settings.reference import sections


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    below = tmp_path_factory.mktemp("share")
    write(below)
    return below


@pytest.fixture(scope="module")
def tree() -> Command:
    return command_line()


def needs(program: str) -> str:
    path = shutil.which(program)
    if not path:
        pytest.skip(f"{program} is not installed")
    return path


def completed(share: Path, *lines: str, cwd: Path | None = None) -> list[list[str]]:
    """Return what bash offers after TAB at the end of each line."""
    script = [f"source {shlex.quote(str(share / 'bash-completion/completions/lbsync'))}"]
    for line in lines:
        script += [
            f"COMP_LINE={shlex.quote(line)} COMP_POINT={len(line)}",
            '_lbsync; echo "${COMPREPLY[*]}"',
        ]
    done = subprocess.run(
        [needs("bash"), "--norc", "-c", "set -u\n" + "\n".join(script)],
        capture_output=True, text=True, check=True, timeout=60, cwd=cwd,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_offers_commands_options_and_values(share: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").touch()
    assert completed(
        share,
        "lbsync ser",
        "lbsync service sh",
        "lbsync --prefix /service/ service sh",
        "lbsync --prefix service sta",
        "lbsync service put -f sho",
        "lbsync --set agent.debounce_",
        "lbsync status --output j",
        "lbsync status --output=j",
        "lbsync service ls --no-such",
        "lbsync status --source file:shop --output ",
        "lbsync  nothing ",
        cwd=tmp_path,
    ) == [
        ["service", "server"], ["show"], ["show"], ["status"], ["shop.yaml"], ["agent.debounce_max="],
        ["json"], ["json"], [], ["text", "json"], completed(share, "lbsync ")[0],
    ]  # fmt: skip


def test_bash_knows_every_command_and_option(share: Path, tree: Command) -> None:
    commands = [*tree.all()]
    for command, options in zip(
        commands, completed(share, *[f"{c.name} -" for c in commands]), strict=True
    ):
        assert set(options) == {name for a in command.arguments for name in a.names}, command.name
    above = [command for command in commands if command.below]
    for command, below in zip(above, completed(share, *[f"{c.name} " for c in above]), strict=True):
        assert below == [c.words[-1] for c in command.below]
    assert len(above) > 4
    assert completed(share, "lbsync check --set ")[0] == [f"{name}=" for name in setting_names()]


def test_fish_offers_commands_options_and_values(share: Path) -> None:
    script = f"source {share}/fish/vendor_completions.d/lbsync.fish"
    for line in ("lbsync --prefix server ser", "lbsync service sh", "lbsync status --output j"):
        script += f"\ncomplete -C {shlex.quote(line)}"
    done = subprocess.run(
        [needs("fish"), "--no-config", "-c", script],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert sorted(words) == ["json", "server", "service", "show"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("lbsync service sh", "lbsync service show"),
        ("lbsync --prefix server service sh", "service show"),
        ("lbsync check --set agent.debounce_", "--set agent.debounce_max="),
        ("lbsync status --output j", "--output json"),
    ],
)
def test_zsh_completes_at_a_terminal(share: Path, tmp_path: Path, line: str, shown: str) -> None:
    script = f"""
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell 'PS1=ready; fpath=({share}/zsh/site-functions $fpath); autoload -U compinit'
        zpty -w shell 'compinit -u -D; bindkey "^I" complete-word; print set''up'
        zpty -r shell seen '*setup*ready*'
        zpty -w -n shell {shlex.quote(line)}$'\\t'
        zpty -r shell seen {shlex.quote(f"*{shown}*")} && print "$seen"
    """
    done = subprocess.run(
        [needs("zsh"), "-f", "-c", script],
        capture_output=True, text=True, check=False, timeout=40, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert shown in done.stdout, (done.stdout, done.stderr)


def formatted(page: Path) -> str:
    done = subprocess.run(
        [needs("man"), "--warnings", "-l", str(page)],
        capture_output=True, text=True, check=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "200", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stderr == ""
    return " ".join(done.stdout.replace("‐", "-").split())


def test_man_shows_every_command_and_option(share: Path, tree: Command) -> None:
    text = formatted(share / "man/man1/lbsync.1")
    for command in tree.all():
        assert command.name in text
        assert " ".join(command.epilog.split()).replace("…", "...") in text
        for argument in command.arguments:
            assert argument.names == () or ", ".join(argument.names) in text


def test_man_shows_every_setting(share: Path) -> None:
    text = formatted(share / "man/man5/lbsync.toml.5")
    for section in sections():
        assert section.title in text
        for field in section.fields:
            assert f" {field.name} (" in text
            assert " ".join(field.meaning.replace("`", "").split()).replace("…", "...") in text


def test_no_line_of_text_is_read_as_a_request(share: Path) -> None:
    known = {
        '.\\"',
        ".TH",
        ".nh",
        ".ad",
        ".SH",
        ".SS",
        ".PP",
        ".TP",
        ".IP",
        ".nf",
        ".fi",
        ".I",
        ".BR",
    }
    for name in FILES:
        if name.startswith("man/"):
            lines = (share / name).read_text().splitlines()
            requests = {line.split()[0] for line in lines if line[:1] in (".", "'")}
            assert requests <= known
