"""The rules of the house that no linter knows."""

import ast
import configparser
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import lbsync

ROOT = Path(__file__).parents[2]
MODULE_LINES = 300
FUNCTION_LINES = 60
FOLDER_MODULES = 18
CLASS_ATTRIBUTES = 15
#: Names under which things gather that belong beside their one user.
NO_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "tools"}
#: Choose between doors, of which only one is needed and some cost a tenth of a second to load.
DEFERRING = {"lbsync/clients/sources.py", "lbsync/deployer/assembly.py"}

#: Only where there is one need all of a module be looked through.
INDENTED_IMPORT = re.compile(r"^[ \t]+(from|import)\b", re.MULTILINE)

type_of_function = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, type_of_function):
            yield node


def test_a_module_fits_into_a_head() -> None:
    long = {
        name(path): lines
        for path in modules("lbsync", "harness", "demo")
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES
    }
    assert long == {}


def test_a_room_has_no_more_modules_than_a_reader_keeps_apart() -> None:
    counts = Counter(name(path.parent) for path in modules("lbsync") if path.stem != "__init__")
    assert {room: count for room, count in counts.items() if count > FOLDER_MODULES} == {}


def test_a_function_fits_on_a_screen() -> None:
    long = {
        f"{name(path)}:{node.lineno} {node.name}": lines
        for path in modules("lbsync", "harness", "demo")
        for node in functions(path)
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def attributes(node: ast.ClassDef) -> set[str]:
    """What the class's own methods assign: state, as against the fields of a record."""
    return {
        found.attr
        for found in ast.walk(node)
        if isinstance(found, ast.Attribute)
        and isinstance(found.ctx, ast.Store)
        and isinstance(found.value, ast.Name)
        and found.value.id == "self"
    }


def test_a_class_has_no_more_attributes_than_a_reader_keeps_in_mind() -> None:
    large = {
        f"{name(path)} {node.name}": len(found)
        for path in modules("lbsync", "harness", "demo")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        if len(found := attributes(node)) > CLASS_ATTRIBUTES
    }
    assert large == {}


def test_no_module_is_a_drawer_for_odd_things() -> None:
    assert [name(p) for p in modules("lbsync", "harness", "demo") if p.stem in NO_NAMES] == []


def test_an_import_inside_a_function_says_why_and_hides_no_cycle() -> None:
    """Only who chooses between rooms may defer them (start-up time); each says why."""
    wrong = []
    for path in modules("lbsync"):
        text = path.read_text()
        lines = text.splitlines()
        for function in functions(path) if INDENTED_IMPORT.search(text) else ():
            for node in ast.walk(function):
                if not isinstance(node, ast.Import | ast.ImportFrom):
                    continue
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
                own = any(n.split(".")[0] == "lbsync" for n in names)
                if own and "lbsync/cli" not in name(path) and name(path) not in DEFERRING:
                    wrong.append(f"{name(path)}:{node.lineno} defers one of our own modules")
                elif not re.search(r"# noqa: PLC0415\W+\w+ \w+", lines[node.lineno - 1]):
                    wrong.append(f"{name(path)}:{node.lineno} gives no reason after the noqa")
    assert wrong == []


def test_one_place_asks_msgspec_for_values_of_a_type() -> None:
    """Two threads that use a class for the first time at once kill the process; settings hold no class of msgspec's."""
    allowed = {"lbsync/decoders.py", "lbsync/settings/convert.py"}
    typed = re.compile(r"msgspec\.convert\(|json\.Decoder\(|json\.decode\([^\n]*\btype=")
    found = {name(path) for path in modules("lbsync") if typed.search(path.read_text())}
    assert found == allowed


def test_the_version_is_the_newest_heading_of_the_changelog() -> None:
    heading = re.search(r"^## \[?([0-9][^ \]]*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heading
    assert heading[1] == lbsync.__version__


def committed(*folders: str) -> list[Path]:
    """What a clone has; everything that is there, where this is no clone."""
    asked = subprocess.run(
        ["git", "ls-files", "-z", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode == 0 and asked.stdout:
        return [Path(line) for line in asked.stdout.split("\0") if line]
    return [p.relative_to(ROOT) for folder in folders for p in (ROOT / folder).rglob("*.*")]


def test_setup_cfg_lists_the_packages_that_a_clone_has() -> None:
    """One too few is missing from the wheel, and only there; one too many stops every install."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    listed = set(setup["options"]["packages"].split())
    found = {".".join(p.parent.parts) for p in committed("lbsync") if p.suffix == ".py"}
    found |= {"lbsync.templates"}
    found |= {f"lbsync.templates.{p.parts[1]}" for p in committed("templates") if p.parts[2:]}
    assert listed == found


def test_every_package_has_an_init_file_that_says_what_it_is_for() -> None:
    bare = []
    for folder in sorted({path.parent for path in modules("lbsync")}):
        init = folder / "__init__.py"
        if not init.exists() or not ast.get_docstring(ast.parse(init.read_text())):
            bare.append(name(folder))
    assert bare == []


def test_every_target_of_the_makefile_is_explained_by_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    explained = set(re.findall(r"^([a-z0-9-]+):[^#\n]*## \S", makefile, re.MULTILINE))
    assert targets == explained
    assert explained >= {"demo", "test", "check", "unit", "integration", "e2e", "golden", "dist"}


@pytest.mark.parametrize(
    "script", sorted([*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"]), ids=name
)
def test_scripts_are_executable_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]), ids=name)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    """By its path from the checkout, the package or the agent's rooms; a test by its name alone."""
    there = {str(path) for path in committed("lbsync", "tests", "harness", "bench", "demo")}
    roots = ("", "lbsync/", "lbsync/agent/")
    named = re.findall(r"(?<![\w/.<>*-])([\w/]+\.py)\b", page.read_text())
    named = [n for n in named if not n.startswith("test_")]
    tests = re.findall(r"(?<![\w/])(test_\w+\.py)\b", page.read_text())
    missing = [n for n in named if not any(f"{root}{n}" in there for root in roots)]
    missing += [n for n in tests if n not in {Path(path).name for path in there}]
    assert missing == []
