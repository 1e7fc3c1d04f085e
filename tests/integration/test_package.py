"""The Debian package, built and unpacked. What it does to a host: tests/vm/test_package.py."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lbsync.cli.reference.__main__ import FILES

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "deploy/debian"
WHEELS = ROOT / ".wheels"
PROGRAM = "usr/lib/lbsync/package"


def build(into: Path, wheels: Path = WHEELS) -> subprocess.CompletedProcess[str]:
    made_in = {**os.environ, "VENV": sys.prefix, "WHEELS": str(wheels), "DIST": str(into)}
    made_in |= {"COMPRESS": "none", "DEB_VERSION": "9.9-1"}
    return subprocess.run(
        [str(ROOT / "scripts/deb")], env=made_in, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip


def content(path: Path) -> bytes:
    """A file's own bytes; of a link, which may lead to the host's Python, where it leads."""
    return os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    if not WHEELS.is_dir():
        pytest.skip("the package's libraries are not here: make test-deb")
    done = build(tmp_path_factory.mktemp("dist"))
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture(scope="module")
def unpacked(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(root)], check=True)
    return root


def test_the_package_holds_what_a_host_needs_and_nothing_of_where_it_was_built(
    package: Path, unpacked: Path
) -> None:
    pages = [name.replace("site-functions", "vendor-completions") for name in FILES]
    pages = [f"{name}.gz" if name.startswith("man/") else name for name in pages]
    wanted = {f"usr/share/{name}" for name in pages}
    wanted |= {
        f"usr/lib/systemd/system/lbsync-{name}.service"
        for name in ("agent", "publisher", "console")
    }
    wanted |= {f"usr/lib/{kind}.d/lbsync.conf" for kind in ("sysusers", "tmpfiles")}
    wanted |= {"usr/bin/lbsync", "usr/share/lbsync/lbsync.toml", "etc/lbsync/haproxy.service.conf"}
    wanted |= {
        f"usr/share/doc/lbsync/{name}" for name in ("copyright", "changelog.gz", "settings.md")
    }
    found = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if not path.is_dir()}
    assert wanted - found == set()
    # Below /etc only what may be there for good: HAProxy must not find its drop-in by itself.
    assert {name for name in found if name.startswith("etc/")} == {
        "etc/lbsync/haproxy.service.conf"
    }
    assert (unpacked / "DEBIAN/conffiles").read_text() == "/etc/lbsync/haproxy.service.conf\n"
    listing = subprocess.run(
        ["dpkg-deb", "-c", str(package)], capture_output=True, text=True, check=True
    )
    assert {line.split()[1] for line in listing.stdout.splitlines()} == {"root/root"}
    writable = [line for line in listing.stdout.splitlines() if line[0] != "l" and line[8] == "w"]
    assert writable == []
    built_in = re.compile(f"{re.escape(str(ROOT))}|{re.escape(sys.prefix)}|/tmp/tmp".encode())
    assert [name for name in found if built_in.search(content(unpacked / name))] == []
    libraries = {path.name.split("-")[0] for path in (unpacked / PROGRAM).rglob("*.dist-info")}
    assert {"grpcio", "litestar", "google_re2", "lbsync"} <= libraries
    assert libraries.isdisjoint({"pip", "setuptools", "pytest"})


def test_the_unpacked_program_runs_where_it_lies_and_compiles_nothing(unpacked: Path) -> None:
    program = unpacked / PROGRAM
    interpreter = (program / "bin/python").readlink().name
    # Where the link leads on a host.
    (unpacked / "usr/bin" / interpreter).symlink_to(f"/usr/bin/{interpreter}")
    before = {path: path.stat().st_ino for path in program.rglob("*.pyc")}
    run = [str(program / "bin/python"), "-sP", "-m", "lbsync"]
    said = subprocess.run([*run, "version"], cwd="/", capture_output=True, text=True, check=False)
    assert str(program) in said.stdout, said.stderr
    for words in (
        ["console", "--help"],
        ["render", "--dry-run", "--source", f"file:{ROOT}/examples/shop"],
    ):
        done = subprocess.run([*run, *words], cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_ino for path in program.rglob("*.pyc")} == before
    assert f"Depends: {interpreter}," in (unpacked / "DEBIAN/control").read_text()


def test_a_library_that_is_not_the_one_that_was_pinned_is_not_packed(
    package: Path, tmp_path: Path
) -> None:
    wheels = tmp_path / "wheels"
    shutil.copytree(WHEELS, wheels)
    altered = next(wheels.glob("urllib3-*.whl"))
    altered.write_bytes(altered.read_bytes() + b"\n")
    done = build(tmp_path, wheels)
    assert done.returncode != 0
    assert "urllib3" in done.stderr
    assert "make wheels" in done.stderr
    assert list(tmp_path.glob("*.deb")) == []


@pytest.mark.parametrize("script", ["preinst", "postinst", "prerm", "postrm", "lbsync"])
def test_what_runs_on_the_host_is_shell(script: str) -> None:
    assert (DEBIAN / script).read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(DEBIAN / script)], check=True)


def test_the_package_and_make_install_name_the_same_steps() -> None:
    def steps(script: Path) -> list[str]:
        printed = script.read_text().rpartition("<<END\n")[2].partition("\nEND")[0]
        return [line.strip() for line in printed.splitlines() if line[:4] == "    "]

    made = [step.replace("$SYSCONFDIR", "/etc") for step in steps(ROOT / "scripts/install")]
    assert made[0].startswith("systemd-sysusers")
    assert made[1:] == steps(DEBIAN / "postinst")


@pytest.mark.parametrize("unit", sorted(ROOT.glob("systemd/*.service")), ids=lambda path: path.stem)
def test_every_unit_is_brought_and_taken_away(unit: Path) -> None:
    """A new one that a removal forgets runs on from files that are gone."""
    scripts = [ROOT / f"scripts/{name}" for name in ("deb", "install", "uninstall")]
    scripts += [DEBIAN / name for name in ("postinst", "prerm", "postrm")]
    assert [path.name for path in scripts if unit.stem not in path.read_text()] == []
