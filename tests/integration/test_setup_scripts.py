"""The scripts behind `make`, run beside programs that stand in for the machine's own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbsync.cli.reference.__main__ import FILES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder at the front of PATH; `program(...)` puts a shell script into it."""
    return tmp_path


def program(machine: Path, name: str, body: str) -> None:
    (machine / name).write_text(f"#!/bin/sh\n{body}\n")
    (machine / name).chmod(0o755)


def run(
    machine: Path, script: Path | str, *words: str, ci: str | None = None
) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "CI"}
    env["PATH"] = f"{machine}:{env['PATH']}"
    if ci is not None:
        env["CI"] = ci
    return subprocess.run(
        [str(ROOT / script), *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_environment_that_is_up_to_date_is_left_alone(machine: Path) -> None:
    program(machine, "python3", "echo touched; exit 1")
    if not (ROOT / ".venv/.made-from").exists():
        pytest.skip("the tests run in another environment than make's")
    done = run(machine, "scripts/setup")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_present_daemons_need_no_word(machine: Path) -> None:
    program(machine, "haproxy", "exit 0")
    done = run(machine, "scripts/setup-daemons", "--required", "haproxy")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_ordinary_user_is_told_in_one_sentence_what_to_install(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    done = run(machine, "scripts/setup-daemons", "--required", "no-such-balancer")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("install as root: apt-get install no-such-balancer")
    assert len(done.stderr.splitlines()) == 1


def test_root_gets_what_is_missing_installed_once(machine: Path) -> None:
    """In a copy of the scripts, whose installer only notes what it was asked for."""
    (machine / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/setup-daemons", machine / "scripts")
    program(machine, "id", "echo 0")
    program(machine, "apt-get", "exit 0")
    program(machine, "scripts/apt-install", 'echo "$@" >>asked')
    done = run(machine, machine / "scripts/setup-daemons", "--required", "no-such-a", "no-such-b")
    assert (machine / "asked").read_text() == "no-such-a no-such-b\n"
    assert done.returncode == 1
    assert "missing no-such-a no-such-b" in done.stderr


@pytest.mark.parametrize(("ci", "code"), [("true", 1), (None, 0)])
def test_a_daemon_that_tests_want_is_required_on_a_build_machine_only(
    machine: Path, ci: str | None, code: int
) -> None:
    (machine / "scripts").mkdir()
    script = machine / "scripts/setup-daemons"
    text = (ROOT / "scripts/setup-daemons").read_text()
    script.write_text(text.replace("set -- haproxy etcd ", "set -- no-such-balancer "))
    script.chmod(0o755)
    program(machine, "id", "echo 1000")
    done = run(machine, script, ci=ci)
    assert done.returncode == code
    assert "no-such-balancer" in done.stderr


def test_the_readme_names_every_step_that_the_installer_names_in_the_same_order() -> None:
    printed = (ROOT / "scripts/install").read_text().rpartition("<<END\n")[2].partition("\nEND")[0]
    steps = [line.strip() for line in printed.splitlines()[1:]]
    assert "systemctl enable --now lbsync-agent" in steps
    places = {"$settings": "/etc/lbsync/lbsync.toml", "$SYSCONFDIR": "/etc", "\\$": "$"}
    wanted = [
        re.sub(r"\$settings|\$SYSCONFDIR|\\\$", lambda m: places[m[0]], step) for step in steps
    ]
    section = (ROOT / "README.md").read_text().partition("## In production\n")[2]
    lines = [line.partition(" #")[0].strip() for line in section.splitlines() if line[:4] == "    "]
    assert [line for line in lines if line in wanted] == wanted


class Host:
    """A place to install into, with a Python that stands in for venv and pip."""

    def __init__(self, root: Path, pages: Path) -> None:
        """`pages`: where completion and manual are kept, once they were written."""
        self.root = root / "root"
        self.tree = root / "tree"
        for name in ("systemd", "examples"):
            shutil.copytree(ROOT / name, self.tree / name)
        (self.tree / "scripts").mkdir()
        for script in ("install", "uninstall"):
            shutil.copy(ROOT / "scripts" / script, self.tree / "scripts")
        program(
            self.tree,
            "python",
            """case "$*" in
"-c "*) ;;
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
*" pip install "*) [ -z "$PIP" ] || { [ "$PIP" = wait ] && kill -TERM $PPID && sleep 1; exit 1; } ;;
*"-m lbsync version") [ -z "$BROKEN" ] ;;
*"-m lbsync.cli.reference "*)
    [ -d @PAGES@ ] || PYTHONPATH=@ROOT@ @PYTHON@ -m lbsync.cli.reference @PAGES@ || exit
    mkdir -p "$4" && cp -R @PAGES@/. "$4" ;;
*) echo "$(dirname "$0")" ;;
esac""".replace("@ROOT@", str(ROOT))
            .replace("@PYTHON@", sys.executable)
            .replace("@PAGES@", str(pages)),
        )

    def run(self, script: str = "install", **more: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHON": str(self.tree / "python"), "PREFIX": "/usr", **more}
        env |= {"DESTDIR": str(self.root)}
        return subprocess.run(
            [str(self.tree / "scripts" / script)],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def files(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): str(path.readlink()) if path.is_symlink() else ""
            for path in self.root.rglob("*")
            if path.is_symlink() or path.is_file()
        }

    def current(self) -> str:
        return str((self.root / "usr/lib/lbsync/current").readlink())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages") / "share"


@pytest.fixture
def host(tmp_path: Path, pages: Path) -> Host:
    return Host(tmp_path, pages)


def test_an_upgrade_keeps_the_release_before_and_tells_nobody_to_restart_haproxy(
    host: Host,
) -> None:
    first = host.run()
    assert first.returncode == 0, first.stderr
    assert "systemctl restart haproxy" in first.stdout
    before = host.current()
    again = host.run()
    assert again.returncode == 0, again.stderr
    assert "systemctl restart haproxy" not in again.stdout
    assert "systemctl try-restart lbsync-agent" in again.stdout
    folder = host.root / "usr/lib/lbsync"
    assert host.current() != before
    assert str((folder / "previous").readlink()) == before
    assert {path.name for path in folder.iterdir()} == {
        "current", "previous", before, host.current(),
    }  # fmt: skip
    wrapper = (host.root / "usr/bin/lbsync").read_text()
    assert "readlink -f /usr/lib/lbsync/current" in wrapper
    assert not [name for name in host.files() if name.endswith(".part")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"PIP": "offline"}, "pip could not bring"),
        ({"PIP": "wait"}, "interrupted"),
        ({"BROKEN": "yes"}, "does not start"),
    ],
)
def test_an_install_that_fails_or_is_cut_off_changes_nothing(
    host: Host, fault: dict[str, str], said: str
) -> None:
    empty = host.run(**fault)
    assert empty.returncode != 0
    assert "nothing was installed" in empty.stderr
    assert host.files() == {}
    assert host.run().returncode == 0
    before = host.files()
    failed = host.run(**fault)
    assert failed.returncode != 0
    assert said in failed.stderr
    assert "untouched" in failed.stderr
    assert host.files() == before


def test_an_uninstall_leaves_what_haproxy_lives_on_and_says_so(host: Host) -> None:
    host.run()
    pages = [name for name in host.files() if name.startswith("usr/share/")]
    assert len(pages) == len(FILES), pages
    gone = host.run("uninstall")
    assert gone.returncode == 0, gone.stderr
    assert set(host.files()) == {
        "etc/lbsync/haproxy.service.conf",
        "etc/lbsync/lbsync.toml",
    }
    for place in ("haproxy.service.d/lbsync.conf", "/var/lib/lbsync", "/etc/lbsync"):
        assert place in gone.stdout


def test_programs_that_were_put_into_a_folder_are_tested_the_newest_by_default(
    machine: Path,
) -> None:
    for name, version in (("mine", "9.10.1"), ("other", "9.9-dev3"), ("twice", "9.10.2")):
        (machine / name).mkdir()
        program(machine, f"{name}/haproxy", f"echo 'HAProxy version {version}-x 2026/10/14'")
    asked = "from harness import haproxy; print(haproxy.branches(), haproxy.binaries().get('9.10'))"
    for branches, wanted in (
        ("", ["2.6", "9.10"]),
        ("9.9,9.10", ["9.9", "9.10"]),
        ("all", [*("2.6", "2.8"), *("9.9", "9.10")]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", asked],
            cwd=ROOT,
            env={**os.environ, "HAPROXIES": str(machine), "HAPROXY_BRANCHES": branches},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == f"{wanted} {machine}/mine/haproxy"


def test_newer_haproxies_are_left_alone_where_they_run(machine: Path) -> None:
    (machine / "somewhere").mkdir()
    program(machine, "somewhere/haproxy", "exit 0")
    env = {**os.environ, "HAPROXIES": str(machine)}
    done = subprocess.run(
        [ROOT / "scripts/setup-haproxies", "somewhere"], env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if shutil.which("apt-get"):
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.stderr.strip().endswith(f"put programs as {machine}/NAME/haproxy")
