"""What a user gets from `pip install lbsync`: built, installed and run far away from the checkout."""

import configparser
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        # pip's variables may send packages elsewhere (PIP_USER, PIP_TARGET); none is needed here.
        env={name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def setup_cfg() -> configparser.SectionProxy:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup["options"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the source archive, both from a copy: the tree stays clean."""
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    junk = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in ("lbsync", "templates"):
        shutil.copytree(ROOT / name, source / name, ignore=junk)
    for path in ROOT.iterdir():
        if path.suffix in {".cfg", ".toml", ".md", ".in"} or path.name == "LICENSE":
            shutil.copy(path, source)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel; its dependencies are borrowed from ours."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin/python"
    run(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", wheel),
        cwd=folder,
    )
    site = run(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    ).strip()
    # A path, not the .pth files in it: the checkout's editable install stays out of reach.
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_every_template_and_module_is_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    # That the list of packages is whole is a rule of the house, tested there.
    packages = [name.replace(".", "/") for name in setup_cfg()["packages"].split()]
    wanted = {f"{folder}/{p.name}" for folder in packages for p in (ROOT / folder).glob("*.py")}
    wanted |= {
        f"lbsync/{p.relative_to(ROOT)}" for p in (ROOT / "templates").rglob("*") if p.is_file()
    }
    assert "lbsync/templates/haproxy/haproxy.cfg.j2" in wanted
    assert wanted <= packed
    assert "lbsync/py.typed" in packed


def test_nothing_of_the_workshop_is_in_the_wheel(wheel: Path) -> None:
    top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"lbsync"}


def test_a_plain_install_asks_for_the_runtime_alone(wheel: Path) -> None:
    (name,) = [n for n in zipfile.ZipFile(wheel).namelist() if n.endswith(".dist-info/METADATA")]
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    asked = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    runtime = setup_cfg()["install_requires"].split("\n")
    assert len([line for line in asked if "extra ==" not in line]) == len(
        list(filter(None, runtime))
    )


def test_the_installed_program_renders_the_example_with_its_own_templates(
    installed: Path, tmp_path: Path
) -> None:
    shop = shutil.copytree(ROOT / "examples/shop", tmp_path / "shop")
    where = run(
        *(installed / "bin/python", "-c", "import lbsync; print(lbsync.__file__)"), cwd=tmp_path
    )
    assert where.startswith(str(installed))
    text = run(
        *(installed / "bin/lbsync", "render", "--dry-run", "--source", f"file:{shop}"), cwd=tmp_path
    )
    assert "frontend" in text
    assert "shop" in text
