"""The alerts and dashboards that we give away: they parse, ask for what there is, and fire when they should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
PAGE = (ROOT / "docs" / "operations.md").read_text()
PROMTOOL = shutil.which("promtool") or ""
#: Of others: Prometheus itself, node-exporter, HAProxy.
FOREIGN = {"up", "node_textfile_mtime_seconds", "haproxy_process_dropped_logs_total"}
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="no promtool here (package prometheus)")


def listed() -> set[str]:
    """The metrics that the operations page lists; tests/unit/test_metrics.py holds it to what there is."""
    found = set(re.findall(r"^\| `(lbsync_[a-z_]+)[`{]", PAGE, re.MULTILINE))
    return found | {f"{name}_{end}" for name in found for end in ("bucket", "sum", "count")}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def named(expression: str) -> set[str]:
    """The metrics of an expression: `lbsync_process_…` come with the library, and are as they are."""
    words = set(re.findall(r"\b(?:lbsync|node|haproxy)_[a-z_]+|\bup\b(?=[{ ])", expression))
    return {word for word in words if not re.match(r"lbsync(_publisher)?_process_", word)}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_there_are_and_is_explained(rule: dict[str, Any]) -> None:
    asked = named(rule["expr"])
    assert asked
    assert asked <= listed() | FOREIGN
    assert rule["labels"]["severity"] in ("warning", "critical")
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert (ROOT / page).is_file()
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert anchor in anchors


def test_every_link_within_the_operations_page_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    tests = yaml.safe_load((PROMETHEUS / "alerts.test.yaml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = [rule["alert"] for rule in rules()]
    assert sorted(case["alertname"] for case in cases if case["exp_alerts"]) == sorted(names)
    assert sorted(case["alertname"] for case in cases if not case["exp_alerts"]) == sorted(names)


@needs_promtool
@pytest.mark.parametrize("words", [("check", "alerts.yaml"), ("test", "alerts.test.yaml")])
def test_prometheus_takes_the_rules_and_they_fire_when_they_should(words: tuple[str, str]) -> None:
    verb, file = words
    ran = subprocess.run(
        [PROMTOOL, verb, "rules", file], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def dashboards() -> list[Path]:
    return sorted((ROOT / "deploy" / "grafana").glob("*.json"))


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


@pytest.mark.parametrize("file", dashboards(), ids=lambda file: file.stem)
def test_a_dashboard_asks_for_metrics_that_there_are(file: Path, tmp_path: Path) -> None:
    board = json.loads(file.read_text())
    expressions = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    assert len(expressions) > 8
    for expression in expressions:
        assert named(expression) <= listed(), expression
        assert "$instance" in expression
    places = [panel["gridPos"] for panel in panels(board)]
    taken = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"])
             for y in range(at["y"], at["y"] + at["h"])]  # fmt: skip
    assert len(set(taken)) == len(taken), "panels lie on each other"
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    if not PROMTOOL:
        return
    # As recording rules, for the parser of Prometheus itself.
    texts = [text.replace("$__rate_interval", "5m") for text in expressions]
    made = [{"record": f"x:{number}", "expr": text} for number, text in enumerate(texts)]
    rule_file = tmp_path / "rules.yaml"
    rule_file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": made}]}))
    ran = subprocess.run([PROMTOOL, "check", "rules", str(rule_file)], capture_output=True,
                         text=True, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_metric_of_ours_is_shown_or_watched_somewhere() -> None:
    """What nobody looks at need not be measured."""
    shown = named(" ".join(file.read_text() for file in dashboards()))
    watched = named(" ".join(rule["expr"] for rule in rules()))
    ours = {name for name in listed() if not name.endswith(("_bucket", "_sum", "_count"))}
    used = {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in shown | watched}
    aside = {
        "lbsync_generation_info", "lbsync_started_timestamp_seconds", "lbsync_last_pass_seconds",
        "lbsync_passes_total", "lbsync_publisher_started_timestamp_seconds",
    }  # fmt: skip
    assert ours - used <= aside
