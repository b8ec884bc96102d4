"""Comparison of experiments, lineage of a metric, and a repeated selection from today's database."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import MissingArtifact, UnknownExperiment
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.drift import selection_drift
from proteinx_pipelines.execution.generations import archive_generation
from proteinx_pipelines.execution.opened_generation import open_named_generation
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.services.diff import MetricDifference, PairedChange, compare
from proteinx_pipelines.services.lineage import lineage
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog

STAGES = always_made()

QUICK = {"data.source": "TOY", "evaluate.bootstrap": 20, "evaluate.plots": False}


def by_hand(settings: Settings, experiment_id: str, **changes: Any) -> None:
    run_local_experiment(settings, experiment_id, parse_flags({**QUICK, **changes}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """`a`; `b` with another split; `a` again with fewer rows, so that `a@1` is an earlier generation."""
    folder = tmp_path_factory.mktemp("understanding")
    settings = load_settings({"PROTEINX_WORKDIR": str(folder / "workdir")}, folder)
    settings.workdir.mkdir()
    write_catalog(settings.database_path, n_singles=90, n_doubles=10)
    by_hand(settings, "a")
    by_hand(settings, "b", **{"split.seed": 3})
    by_hand(settings, "a", **{"data.mut_num": {"max": 1}, "model.alpha": 2.0})
    return settings


def test_what_differs_is_said_from_flags_to_metrics(finished: Settings) -> None:
    found = compare(open_named_generation(finished, "a@1"), open_named_generation(finished, "b"))
    assert found.flags == ("`split.seed` changed from 0 to 3",)
    assert [stage.stage for stage in found.stages if stage.same] == ["selection", "transform", "embedding"]
    reasons = {stage.stage: stage.reasons for stage in found.stages}
    assert reasons["split"] == ("`split.seed` changed from 0 to 3",)
    assert reasons["train"] == ("`split.all` differs",)
    assert found.rows is not None
    assert (found.rows.gained, found.rows.lost, found.rows.retargeted) == (0, 0, 0)
    assert found.same_test_rows is False
    spearman = next(metric for metric in found.metrics if metric.name == "test/spearman")
    assert spearman.interval_before is not None
    assert spearman.interval_after is not None
    assert spearman.change == pytest.approx(spearman.after - spearman.before)


def test_an_earlier_generation_is_compared_like_an_experiment(finished: Settings) -> None:
    """Its rows come from the store: the directory holds the newer ones."""
    found = compare(open_named_generation(finished, "a@1"), open_named_generation(finished, "a"))
    assert set(found.flags) == {
        "`data.mut_num.max` changed from null to 1",
        "`model.alpha` changed from 1.0 to 2.0",
    }
    assert found.rows is not None
    assert (found.rows.before, found.rows.after, found.rows.gained) == (100, 90, 0)
    assert found.rows.lost == 10
    assert all(":" in name for name in found.rows.examples["lost"])
    assert found.same_test_rows is False


def test_the_same_twice_differs_in_nothing(finished: Settings) -> None:
    found = compare(open_named_generation(finished, "b"), open_named_generation(finished, "b"))
    assert found.flags == ()
    assert all(stage.same for stage in found.stages)
    assert found.same_test_rows is True
    assert {metric.change for metric in found.metrics} == {0.0}
    assert not any(metric.differs for metric in found.metrics)
    assert any(metric.paired for metric in found.metrics)


def test_another_target_is_counted(finished: Settings) -> None:
    by_hand(finished, "negated", **{"transform.target": "negate"})
    found = compare(open_named_generation(finished, "b"), open_named_generation(finished, "negated"))
    assert found.rows is not None
    assert found.rows.retargeted == found.rows.after
    shutil.rmtree(finished.experiments_dir / "negated")


def test_rows_that_are_nowhere_any_more_are_not_made_up(finished: Settings) -> None:
    kept = finished.workdir / "store" / "transform"
    kept.rename(finished.workdir / "elsewhere")
    try:
        found = compare(open_named_generation(finished, "a@1"), open_named_generation(finished, "b"))
    finally:
        (finished.workdir / "elsewhere").rename(kept)
    assert found.rows is None
    assert found.metrics


@pytest.mark.parametrize(
    ("low", "high", "differs"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False)]
)
def test_a_change_whose_paired_interval_leaves_out_zero_is_a_difference(
    low: float, high: float, differs: bool
) -> None:
    change = PairedChange(100, (low + high) / 2, low, high)
    assert MetricDifference("test/mse", 0.0, 1.0, None, None, False, change).differs is differs
    assert MetricDifference("test/mse", 0.0, 1.0, (0.1, 0.2), (0.3, 0.4), False).differs is None


def test_what_compare_finds_to_differ_diff_finds_too(finished: Settings) -> None:
    """`diff` said "within the intervals" of two unpaired intervals where `compare` found a paired difference."""
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.services.ranking import rank_experiments

    by_hand(finished, "flat", **{"split.seed": 3, "model.alpha": 1e6})
    found = compare(open_named_generation(finished, "b"), open_named_generation(finished, "flat"))
    both = [open_experiment(name, finished.workdir) for name in ("b", "flat")]
    board = rank_experiments(both, ("mse",), resamples=1000)
    mse = next(metric for metric in found.metrics if metric.name == "test/mse")
    assert mse.paired is not None
    assert board.rows[1].difference is not None
    wide = sorted(abs(end) for end in board.rows[1].difference[1:])
    assert sorted((abs(mse.paired.low), abs(mse.paired.high))) == pytest.approx(wide)
    assert mse.differs is (board.rows[1].difference[1] * board.rows[1].difference[2] > 0)
    assert mse.paired.n == board.n_common
    shutil.rmtree(finished.experiments_dir / "flat")


def test_other_targets_and_too_few_common_variants_are_not_paired(finished: Settings) -> None:
    by_hand(finished, "negated", **{"transform.target": "negate"})
    found = compare(open_named_generation(finished, "a"), open_named_generation(finished, "negated"))
    assert {metric.paired for metric in found.metrics} == {None}
    assert found.metrics
    shutil.rmtree(finished.experiments_dir / "negated")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nobody", "There is no experiment"),
        ("bb", "Did you mean 'b'"),
        ("a@7", "it has 1, 2"),
        ("a@x", "number of a generation"),
    ],
)
def test_what_is_not_there_is_named(finished: Settings, text: str, words: str) -> None:
    with pytest.raises(UnknownExperiment, match=words):
        open_named_generation(finished, text)


# ---------------------------------------------------------------------- lineage
def test_a_metric_leads_back_to_the_rows(finished: Settings) -> None:
    found = lineage(open_named_generation(finished, "b"))
    assert [ancestor.stage for ancestor in found.ancestors] == list(reversed(STAGES))
    by_stage = {ancestor.stage: ancestor for ancestor in found.ancestors}
    assert by_stage["embedding"].computed_by == "a, generation 1"
    assert by_stage["split"].computed_by == "b, generation 1"
    root = finished.experiments_dir / "b"
    for ancestor in found.ancestors:
        assert ancestor.files
        assert all(file_sha256(root / name) == digest for name, digest in ancestor.files.items())
    assert found.query is not None
    assert found.query["rows"] == by_stage["selection"].facts["rows"] == 100
    assert found.broken == ()


def test_a_chain_that_does_not_hold_is_said_to_be_broken(finished: Settings) -> None:
    path = finished.experiments_dir / "b" / "config" / "pipeline.json"
    before = path.read_text(encoding="utf-8")
    document = read_json(path)
    document["stages"]["split"]["digests"]["all"] = "0" * 64
    write_json(path, document)
    try:
        broken = lineage(open_named_generation(finished, "b")).broken
    finally:
        path.write_text(before, encoding="utf-8")
    assert broken == (
        "train was made from another split than the one in place",
        "evaluate was made from another split than the one in place",
    )


# ---------------------------------------------------------------------- the database as it is now
@pytest.fixture
def catalog(finished: Settings) -> Any:
    """The catalog, put back afterwards."""
    content = finished.database_path.read_bytes()
    with sqlite3.connect(finished.database_path) as connection:
        yield connection
    finished.database_path.write_bytes(content)


def test_an_unchanged_database_gives_the_same_rows(finished: Settings) -> None:
    found = selection_drift(finished, open_named_generation(finished, "b"))
    assert found.is_none
    assert found.rows_before == found.rows_now == 100


def test_rows_added_dropped_and_scored_anew_are_told_apart(
    finished: Settings, catalog: sqlite3.Connection
) -> None:
    names = [row[0] for row in catalog.execute("SELECT mutant FROM mutations WHERE mut_num = 1 ORDER BY id")]
    catalog.execute("INSERT INTO mutations VALUES (9001, 'M1A:Q2A:Y3A', 0.5, NULL, 3, 1)")
    catalog.execute("INSERT INTO mutations VALUES (9002, ?, 0.5, NULL, 1, 1)", (names[0],))
    catalog.execute("UPDATE mutations SET DMS_score = NULL WHERE mutant = ?", (names[1],))
    catalog.execute("DELETE FROM mutations WHERE mutant = ?", (names[2],))
    catalog.commit()
    found = selection_drift(finished, open_named_generation(finished, "b"))
    assert found.added == ("TOY/M1A:Q2A:Y3A",)
    assert found.dropped == (f"TOY/{names[2]}",)
    assert found.rescored == tuple(sorted(f"TOY/{name}" for name in names[:2]))
    assert (found.rows_before, found.rows_now) == (100, 101)


def test_an_earlier_generations_selection_is_repeated_with_its_own_flags(
    finished: Settings, catalog: sqlite3.Connection
) -> None:
    catalog.execute("INSERT INTO mutations VALUES (9001, 'M1A:Q2A:Y3A', 0.5, NULL, 3, 1)")
    catalog.commit()
    assert len(selection_drift(finished, open_named_generation(finished, "a@1")).added) == 1
    assert selection_drift(finished, open_named_generation(finished, "a")).is_none


def test_an_earlier_generations_selection_is_repeated_on_its_own_payload(settings: Settings) -> None:
    """The newest message's file was asked: rows of another data set were called added."""
    state, directory = Ledger(settings.state_path), ExperimentDir(settings.experiments_dir, "e")
    flags, payloads = parse_flags(QUICK), []
    for generation in (1, 2):
        payloads.append(settings.workdir / f"{generation}.db")
        write_catalog(payloads[-1], n_singles=60 * generation, n_doubles=0)
        state.accept(
            experiment_id="e", message_key=f"{generation}", message_id=None,
            priority=0, payload_ref=str(payloads[-1]), flags=flags.nested(), raw=b"{}",
        )  # fmt: skip
        archive_generation(directory, generation)
        attempt = Attempt(settings, "e", flags, generation=generation, payload_ref=str(payloads[-1]))
        attempt.publish(attempt.run_stage("selection", attempt.record))
        attempt.close()
        write_document(
            directory, generation=generation, attempt=1, status="SUCCEEDED", flags=flags.nested(),
            pipeline=attempt.pipeline(),
        )  # fmt: skip
    for side, payload in zip(("e@1", "e"), payloads, strict=True):
        found = selection_drift(settings, open_named_generation(settings, side))
        assert found.is_none
        assert found.database == payload


def test_without_the_rows_of_then_nothing_is_compared(finished: Settings, tmp_path: Path) -> None:
    selected = finished.experiments_dir / "b" / "data" / "selected.parquet"
    store = finished.workdir / "store" / "selection"
    selected.rename(tmp_path / "kept")
    store.rename(tmp_path / "store")
    try:
        with pytest.raises(MissingArtifact, match="run it again"):
            selection_drift(finished, open_named_generation(finished, "b"))
    finally:
        (tmp_path / "kept").rename(selected)
        (tmp_path / "store").rename(store)
