"""The dashboard and the alert rules: of metrics that we export, with labels that these have, and tested in time."""

import importlib.util
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from proteinx_pipelines.observation.table import TABLE, series_of
from proteinx_pipelines_tests.programs import program

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
SERIES = {
    name: {*metric.labels, *(["le"] if metric.buckets else [])}
    for metric in TABLE
    for name in series_of(metric)
}
FROM_PROMETHEUS = {"up": {"job", "instance"}}
"""Series that Prometheus itself makes of a scrape."""
SELECTOR = re.compile(r"\b(proteinx_\w+|up)\b(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_dashboard", DEPLOY / "grafana" / "make_dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def problems(expression: str) -> Iterator[str]:
    """Metrics that an expression names and nobody exports, and labels that they do not have."""
    known, labels = {**SERIES, **FROM_PROMETHEUS}, set()
    for name, conditions in SELECTOR.findall(expression):
        if name not in known:
            yield f"no metric {name}"
            continue
        labels |= known[name]
        yield from (
            f"{name} has no label {label}"
            for label in re.findall(r"(\w+)\s*(?:=|!)", conditions)
            if label not in known[name]
        )
    grouped = {word for group in re.findall(r"by \(([^)]*)\)", expression) for word in group.split(", ")}
    yield from (f"nothing here has the label {label}" for label in sorted(grouped - labels))


@pytest.mark.parametrize(
    "wrong",
    [
        "proteinx_jobz",
        "sum by (nodes) (proteinx_node_up)",
        "proteinx_jobs{status='WAITING'}",
        "rate(proteinx_stage_seconds[1h])",
    ],
)
def test_an_expression_of_what_nobody_exports_is_found(wrong: str) -> None:
    assert list(problems(wrong))


def test_every_expression_of_the_dashboard_names_what_we_export(script: ModuleType) -> None:
    document = json.loads((DEPLOY / "grafana" / "proteinx.json").read_text(encoding="utf-8"))
    drawn = [target["expr"] for panel in document["panels"] for target in panel.get("targets", ())]
    assert sorted(drawn) == sorted(script.expressions())
    assert [problem for expression in drawn for problem in problems(expression)] == []


def test_legends_of_the_dashboard_name_labels_that_the_expression_has(script: ModuleType) -> None:
    for _, _, lines in (*script.STATS, *(panel for row in script.ROWS.values() for panel in row)):
        for legend, expression in lines.items():
            labels = set().union(*(SERIES[name] for name, _ in SELECTOR.findall(expression)))
            assert set(re.findall(r"{{(\w+)}}", legend)) <= labels, legend


def test_the_dashboard_is_what_its_script_makes(script: ModuleType) -> None:
    written = (DEPLOY / "grafana" / "proteinx.json").read_text(encoding="utf-8")
    assert written == script.dashboard_json(), "python deploy/grafana/make_dashboard.py writes it again"


def test_every_alert_names_what_we_export_and_where_to_read_on() -> None:
    page = (REPOSITORY / "docs" / "runbook.md").read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    for rule in rules():
        assert list(problems(rule["expr"])) == [], rule["alert"]
        assert rule["annotations"]["runbook"] in headings, rule["alert"]


def test_every_alert_has_a_moment_at_which_it_must_fire_and_one_at_which_it_must_not() -> None:
    document = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text(encoding="utf-8"))
    told = [case for test in document["tests"] for case in test["alert_rule_test"]]
    firing = {case["alertname"] for case in told if case["exp_alerts"]}
    assert firing == {rule["alert"] for rule in rules()}


def test_promtool_accepts_rules_and_configuration_and_the_alerts_fire_when_they_should(
    tmp_path: Path, script: ModuleType
) -> None:
    promtool = program("promtool")
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "as-it-is")
    run = lambda *words, folder="as-it-is": subprocess.run(  # noqa: E731
        [promtool, *words], cwd=tmp_path / folder, capture_output=True, text=True, timeout=120
    )
    for words in (
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        said = run(*words)
        assert said.returncode == 0, said.stdout + said.stderr
    drawn = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(script.expressions())
    ]
    (tmp_path / "as-it-is" / "panels.yml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": drawn}]}), encoding="utf-8"
    )
    said = run("check", "rules", "panels.yml")
    assert said.returncode == 0, said.stdout + said.stderr
    # Guard off: rules that never fire do not pass.
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "silent")
    silent = tmp_path / "silent" / "alerts.yml"
    silent.write_text(
        re.sub(r"expr: \S.*", "expr: vector(0) > 1", silent.read_text("utf-8")), encoding="utf-8"
    )
    assert run("test", "rules", "alerts_test.yml", folder="silent").returncode == 1
