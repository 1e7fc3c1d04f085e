"""What package and images are made from: one release of everything, by its hashes."""

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-build.lock")


def pins(lock: str) -> dict[str, tuple[str, int]]:
    """Return release and number of hashes of everything that a lock names."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    found = {}
    for line in lines:
        pin, *hashes = re.split(r"\s+--hash=sha256:[0-9a-f]{64}(?=\s|$)", line)
        name, release = re.fullmatch(r"([a-z0-9-]+)==([^ ;]+)(?: ;.*)?", pin.strip()).groups()  # type: ignore[union-attr]
        found[name] = (release, len(hashes))
    return found


def required(*sections: tuple[str, str]) -> list[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = [line for section, key in sections for line in setup[section][key].splitlines()]
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_is_pinned_has_its_hashes(lock: str) -> None:
    assert [name for name, (_, hashes) in pins(lock).items() if not hashes] == []


def test_the_lock_holds_what_setup_cfg_asks_for_or_make_lock_was_forgotten() -> None:
    pinned = pins("requirements.lock")
    extras = "options.extras_require"
    asked = required(("options", "install_requires"), (extras, "confd"), (extras, "console"))
    wrong = [
        f"{one}: {pinned.get(one.name.lower(), ('missing', 0))[0]}"
        for one in asked
        if not one.specifier.contains(pinned.get(one.name.lower(), ("0", 0))[0])
    ]
    assert wrong == []


def test_images_are_built_from_nothing_that_is_not_pinned() -> None:
    """`--no-deps`: lbsync's own source, which has no hash."""
    docker = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip install ([^&\n]*)", docker)
    assert len(installs) >= 3
    for words in installs:
        assert "--no-build-isolation" in words or "requirements-build.lock" in words, words
        assert ("--require-hashes -r" in words) != ("--no-deps /src" in words), words
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {f"!{lock}" for lock in LOCKS} <= set(ignored)
