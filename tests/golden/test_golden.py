"""Whole configurations, written down: `NAME.yaml` holds the keys, `NAME.cfg` what is made of them.

A case shows only what it is about: a section or a file that is the same as with default settings and no service
stands there as `<<same>>`; `nothing.cfg` has all of it. `NAME.toml`, where there is one, holds the settings. What
newer releases of HAProxy are given is shown by the cases `newest-release` and `all-fields`, the others are for the
oldest. After an intended change `make golden` writes the files anew, and the review reads the diff.
"""

import difflib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import haproxy
from lbsync.agent.desired.states import RenderedState
from lbsync.agent.runtime.deltas.service_delta import lines
from lbsync.cli.configuration.plan import make_plan, texts
from lbsync.clients.haproxy.binary import has_quic
from lbsync.model.rendered import Rendered
from lbsync.settings import load
from tests.builders import a_snapshot
from tests.conftest import demand

HERE = Path(__file__).parent
CASES = sorted(path.stem for path in HERE.glob("*.yaml"))
WRITE = os.environ.get("LBSYNC_GOLDEN") == "write"


def rendered(case: str, workshop: Path, program: str = "") -> Rendered:
    """What is made of a case for `program`; left out: for the release that the case is about."""
    return planned(case, workshop, program).rendered


def planned(case: str, workshop: Path, program: str = "") -> RenderedState:
    settings_file = HERE / f"{case}.toml"
    config = None
    if settings_file.exists():
        config = Path(shutil.copy(settings_file, workshop))
    values = yaml.safe_load((HERE / f"{case}.yaml").read_text()) or {}
    newest = case in ("newest-release", "all-fields")
    program = program or str(workshop / ("newest" if newest else "oldest"))
    flags = {"host": "lb-1", "claims.hosts": "*=*", "haproxy.binary": program}
    if not has_quic(program):
        flags["proxy.http3"] = "false"
    plan = make_plan(load(config, flags=flags, environ={}), a_snapshot(values))
    assert [problem.reason for problem in plan.desired.problems] == []
    return plan


def shown(made: Rendered, plain: Rendered) -> str:
    """One text of all files, without what is the same as in `plain`."""
    before = texts(plain) if made is not plain else {}
    parts = []
    for path, data in sorted(texts(made).items()):
        if path.startswith("certs/"):
            continue
        parts.append(f"==== {path}")
        if path == "haproxy.cfg":
            known = sections(before.get(path, b"").decode())
            for name, lines in sections(data.decode()).items():
                parts += [name, *news(known.get(name, []), lines)]
        else:
            parts += ["<<same>>"] if before.get(path) == data else data.decode().splitlines()
    return "".join(f"{line}\n" for line in parts)


def sections(text: str) -> dict[str, list[str]]:
    """Title to indented lines. What is said at the margin about a section comes with its title."""
    found: dict[str, list[str]] = {}
    said = ""
    lines: list[str] = []
    for line in filter(str.strip, text.splitlines()):
        if line.startswith("#"):
            said += f"{line}\n"
        elif not line.startswith(" "):
            lines = found[said + line] = []
            said = ""
        else:
            lines.append(line)
    return found


def news(before: list[str], now: list[str]) -> list[str]:
    """The lines of `now`; runs that `before` has too are one line, and what is gone is named."""
    found = []
    for what, i, j, k, m in difflib.SequenceMatcher(a=before, b=now).get_opcodes():
        if what == "equal":
            found.append("    <<same>>")
        else:
            found += [f"    <<gone>> {line.strip()}" for line in before[i:j]]
            found += now[k:m]
    return found


@pytest.mark.parametrize("case", CASES)
def test_the_configuration_is_the_one_written_down(case: str, workshop: Path) -> None:
    plain = rendered("nothing", workshop)
    made = plain if case == "nothing" else rendered(case, workshop)
    now = shown(made, plain)
    expected = HERE / f"{case}.cfg"
    if WRITE:
        expected.write_text(now)
    assert now == expected.read_text(), "intended? then: make golden"


@pytest.mark.parametrize("case", CASES)
def test_the_lines_that_the_fast_path_makes_are_those_that_are_printed(
    case: str, workshop: Path
) -> None:
    plan = planned(case, workshop)
    files = texts(plan.rendered)
    made = [lines(service) for service in plan.desired.services]
    for path in made[0] if made else ():
        printed = [line.partition(" ") for line in files[path].decode().splitlines()]
        found = [pair for each in made for pair in each[path]]
        assert sorted(found) == sorted((key, value) for key, _, value in printed), path


@pytest.mark.parametrize("version", haproxy.branches())
@pytest.mark.parametrize("case", CASES)
def test_haproxy_accepts_what_is_written_down(
    case: str, version: str, workshop: Path, tmp_path: Path
) -> None:
    binary = haproxy.binaries().get(version)
    demand(binary is not None, f"HAProxy {version}")
    for file in rendered(case, workshop, str(binary)).files:
        (tmp_path / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.path).write_bytes(file.data)
    said = subprocess.run(
        [str(binary), "-c", "-f", str(tmp_path / "haproxy.cfg")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert "explicit unit" not in said.stderr, "3.2 and later warn of a small number alone"
    # HAProxy misses the state and stats files that an agent would have written before its first reload.
    # 3.4 tells how long the password hashes take that the records of this test have.
    known = re.compile(r"servers\.state|Can't load stats|the hash algorithm used for this password")
    told = [line for line in said.stderr.splitlines() if not known.search(line)]
    assert not re.search(r"\[(ALERT|WARNING)\]", "\n".join(told)), said.stderr
