"""The usage report: whose rows it counts, its sums, its files, and the same over HTTP."""

import io
import json
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.execution.energy import CpuEnergy
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.node.lifecycle.used import uses_here
from proteinx_pipelines.services.usage import Cost, Use, cost_of, since_of, usage_report
from proteinx_pipelines.services.usage_files import report_file

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def use(state: str, node: str = "n1", model: str = "ridge", **more: object) -> Use:
    values = {
        "experiment_id": "e",
        "generation": 1,
        "embedding": "onehot",
        "reason": None,
        "attempts": 1,
        "waited_s": 1.0,
        "seconds": 2.0,
        "cpu_seconds": 1.5,
        "joules": None,
        "finished_at": "2026-03-01T00:00:00.000+00:00",
    }
    return Use(node=node, model=model, state=state, **{**values, **more})  # type: ignore[arg-type]


USES = [
    use("SUCCEEDED"),
    use("SUCCEEDED", joules=100.0),
    use("FAILED", reason="out_of_memory"),
    use("FAILED", node="n2", model="cnn", reason="<b>odd</b>"),
    use("CANCELLED", node="n2"),
    use("REJECTED", node="n2", model="-", reason="bad_flags", seconds=None, waited_s=None),
]


def test_shares_count_what_was_judged_and_say_of_how_many_the_energy_is_known() -> None:
    report = usage_report(USES, None, "now")
    by_node = {share.node: share for share in report.by_node}
    assert by_node["n1"].success_rate == pytest.approx(2 / 3)
    assert (by_node["n1"].joules, by_node["n1"].joules_known) == (100.0, 1)
    assert by_node["n2"].success_rate == 0
    assert by_node["n2"].joules is None
    assert {(share.node, share.model): share.ended for share in report.by_node_and_model} == {
        ("n1", "ridge"): 3,
        ("n2", "cnn"): 1,
        ("n2", "ridge"): 1,
        ("n2", "-"): 1,
    }
    for shares in (report.by_node, report.by_model, report.by_node_and_model):
        assert sum(share.ended for share in shares) == report.total.ended == len(USES)
        assert sum(share.seconds for share in shares) == report.total.seconds
    assert [(each.reason, each.number) for each in report.reasons] == [
        ("<b>odd</b>", 1), ("out_of_memory", 1), ("bad_flags", 1)
    ]  # fmt: skip


def test_nothing_has_no_rate() -> None:
    assert usage_report([], None, "now").total.success_rate is None


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("7d", "2026-02-22T12:00:00.000+00:00"),
        ("12h", "2026-03-01T00:00:00.000+00:00"),
        ("2026-02-01", "2026-02-01T00:00:00.000+00:00"),
        ("2026-02-01T02:00:00+02:00", "2026-02-01T00:00:00.000+00:00"),
    ],
)
def test_a_time_is_given_as_a_span_or_a_date(text: str, time: str) -> None:
    assert since_of(text, NOW) == time


@pytest.mark.parametrize("text", ["", "d", "-1d", "yesterday", "7 d", "99999999999d", "²d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        since_of(text, NOW)


def test_energy_of_a_stage_that_tells_none_leaves_the_sum_unknown() -> None:
    told = {"cpu_seconds": 1.0, "cpu_joules": 5.0, "gpus": [{"joules": 7.0}, {"joules": None}]}
    assert cost_of([told, told]) == Cost(2.0, 24.0)
    assert cost_of([told, {"cpu_seconds": 1.0}]) == Cost(2.0, None)
    assert cost_of([]) == Cost()


def test_energy_is_counted_over_the_turn_of_its_counter(tmp_path) -> None:
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "max_energy_range_uj").write_text("10000000")
    (package / "energy_uj").write_text("9000000")
    energy = CpuEnergy(tmp_path)
    for value in ("9500000", "500000", "1500000"):  # 0.5 J, 1 J over the turn, 1 J
        (package / "energy_uj").write_text(value)
        energy.look()
    assert energy.joules == pytest.approx(2.5)
    assert CpuEnergy(tmp_path / "none").joules is None


def test_files_have_the_report_or_its_rows() -> None:
    report = usage_report(USES, None, "now")
    assert json.loads(report_file(report, USES, ".json", "n1")) == json.loads(json.dumps(report.document()))
    rows = pq.read_table(io.BytesIO(report_file(report, USES, ".parquet", "n1"))).to_pylist()
    assert rows == [asdict(each) for each in USES]
    page = report_file(report, USES, ".html", "<i>n1</i>").decode()
    assert "out_of_memory" in page
    assert "<b>odd</b>" not in page
    assert "<i>n1</i>" not in page


def test_the_rows_of_a_node_are_its_ended_experiments_and_refused_messages(history, proteinx, folder) -> None:
    history.end("good")
    history.end("bad", Outcome("FAILED", "out_of_memory", "Too large.", None))
    history.begin("runs")
    history.intake.ingest(b'{"experiment_id": "odd", "flags": {"nothing": 1}}')
    stage = {
        "origin": {"experiment_id": "good", "generation": 1},
        "resources": {"cpu_seconds": 3.0, "cpu_joules": 9.0},
    }
    other = {"origin": {"experiment_id": "else", "generation": 1}, "resources": {"cpu_seconds": 50.0}}
    entry = {
        "key": "0" * 64,
        "version": "1",
        "flags": {},
        "inputs": {},
        "digests": {},
        "files": {},
        "action": "computed",
    }
    stages = {"selection": {**entry, **stage}, "transform": {**entry, **other}}
    path = ExperimentDir(history.settings.experiments_dir, "good").pipeline
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"format": 1, "generation": 1, "stages": stages})
    found = {each.experiment_id: each for each in uses_here(history.settings, history.state, None)}
    assert {name: each.state for name, each in found.items()} == {
        "good": "SUCCEEDED", "bad": "FAILED", "odd": "REJECTED"
    }  # fmt: skip
    assert (found["good"].cpu_seconds, found["good"].joules) == (3.0, 9.0)
    assert found["bad"].joules is None
    assert uses_here(history.settings, history.state, "2999") == []
    told = json.loads(proteinx("usage", "--json").stdout)
    assert told["total"]["ended"] == 3
    assert "out_of_memory" in proteinx("usage", "--since", "1h").output
    for name in ("usage.html", "usage.parquet", "usage.json"):
        proteinx("usage", "--out", str(folder / name))
        assert (folder / name).stat().st_size > 100
    assert "one of .json" in proteinx("usage", "--out", "usage.xlsx", expect=1).output


def test_a_workdir_without_history_has_an_empty_report(proteinx, settings) -> None:
    assert json.loads(proteinx("usage", "--json").stdout)["total"]["ended"] == 0
    assert not settings.state_path.exists()
