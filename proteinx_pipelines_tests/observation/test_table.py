"""The table of metrics: names, page, text form, and that whatever is shown stands in it."""

import ast
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from proteinx_pipelines.observation.exposition import Filling, Sample, exposition
from proteinx_pipelines.observation.table import METRICS, TABLE, markdown
from proteinx_pipelines.observation.tallies import EVENTS, MOST_REASONS, OTHER, Tally
from proteinx_pipelines_tests.programs import program

REPOSITORY = Path(__file__).resolve().parents[2]
ENDINGS = {"seconds": "_seconds", "bytes": "_bytes", "ratio": "_ratio"}


def test_names_say_what_prometheus_expects_of_them() -> None:
    assert len(METRICS) == len(TABLE)
    for metric in TABLE:
        assert metric.name.startswith("proteinx_")
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.name.endswith(ENDINGS.get(metric.unit, "")), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert metric.name.startswith("proteinx_node_") <= (metric.side == "master"), metric.name


def test_the_page_lists_every_metric_as_the_table_has_it() -> None:
    page = (REPOSITORY / "docs" / "observation.md").read_text(encoding="utf-8")
    assert markdown() in page, "python -m proteinx_pipelines.observation.table prints the table for the page"


@pytest.mark.parametrize(
    "wrong",
    [
        Sample("proteinx_jobz", 1),
        Sample("proteinx_jobs", 1),
        Sample("proteinx_jobs", 1, {"stat": "x"}),
        Sample("proteinx_stage_seconds", 1.0, {"node": "n", "stage": "s"}),
    ],
)
def test_a_sample_that_the_table_lacks_is_refused(wrong: Sample) -> None:
    with pytest.raises(KeyError):
        exposition([wrong])


def test_a_histogram_reads_as_prometheus_own_does() -> None:
    tally, registry = Tally(), CollectorRegistry()
    bounds = METRICS["proteinx_stage_seconds"].buckets
    oracle = Histogram("proteinx_stage_seconds", "h", ["node", "stage"], registry=registry, buckets=bounds)
    for seconds in (0.0, 0.1, 0.100001, 3, 15, 15.0, 14400, 20000):
        payload = {"action": "computed", "seconds": seconds}
        tally.event({"event": "stage_finished", "stage": "train", "payload": payload})
        oracle.labels("n", "train").observe(seconds)
    ours = [sample for sample in _samples(exposition(tally.samples("n"))) if "stage_seconds" in sample[0]]
    assert ours == [
        each for each in _samples(generate_latest(registry).decode()) if "_created" not in each[0]
    ]


def _samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    return [tuple(each)[:3] for family in text_string_to_metric_families(text) for each in family.samples]


def test_stages_count_by_what_became_of_them_and_only_computed_ones_by_their_seconds() -> None:
    tally = Tally()
    for action in ("computed", "taken", "taken", "reused"):
        payload = {"action": action, "seconds": 2.0}
        tally.event({"event": "stage_finished", "stage": "embedding", "payload": payload})
    assert tally.stages == {"embedding computed": 1, "embedding taken": 2, "embedding reused": 1}
    assert sum(tally.seconds["embedding"]) == 1
    assert Tally.read(tally.document()) == tally


ENDED = {"event": "stage_finished", "stage": "train"}


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"event": 3},
        {"event": "stage_finished", "payload": 5, "stage": None},
        {**ENDED, "payload": {"action": "computed", "seconds": "x"}},
        {**ENDED, "payload": {"action": "computed", "seconds": float("nan")}},
    ],
)
def test_a_line_of_another_form_harms_nothing(line: dict[str, object]) -> None:
    tally = Tally()
    tally.event(line)
    assert sum(tally.events.values()) == 1
    assert tally.seconds == {}


def test_what_plugins_invent_does_not_make_series_without_end() -> None:
    tally = Tally()
    for number in range(3 * MOST_REASONS):
        tally.event({"event": f"mine_{number}", "stage": "train"})
        tally.end("FAILED", f"code_{number}")
    assert tally.events == {OTHER: 3 * MOST_REASONS}
    assert len(tally.ended) <= MOST_REASONS + 1
    assert sum(tally.ended.values()) == 3 * MOST_REASONS


def test_every_event_that_a_stage_reports_is_counted_by_name() -> None:
    named = set()
    for path in (REPOSITORY / "proteinx_pipelines").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            if node.func.attr == "event" and isinstance(first, ast.Constant) and isinstance(first.value, str):
                named.add(first.value)
    assert named == EVENTS


def test_promtool_accepts_the_text_of_every_metric() -> None:
    samples = [
        Sample(
            metric.name,
            Filling((1,) * (len(metric.buckets) + 1), 2.0) if metric.buckets else 1,
            dict.fromkeys(metric.labels, 'a"b\\c\nd'),
        )
        for metric in TABLE
    ]
    said = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=exposition(samples),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
