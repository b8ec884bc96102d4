"""`artifacts/` of the evaluate stage: written whole, read back equal, refused when damaged."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs import evaluate as codec
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Evaluation
from proteinx_pipelines_tests.documents import report_document


@pytest.fixture
def directory(tmp_path):
    return ExperimentDir(tmp_path, "toy-1")


def evaluation(*pictures):
    table = pa.table(
        {
            "id": ["toy/WT", "toy/A1C"],
            "mutant": ["WT", "A1C"],
            "target": [0.0, 1.5],
            "prediction": pa.array([0.25, None], pa.float64()),
            "fold": pa.array([0, None], pa.int32()),
            "part": ["test", "none"],
        }
    )
    summary = {"test/spearman": float("nan"), "test/mse": 0.5}
    report = report_document(summary={"test/spearman": None, "test/mse": 0.5})
    files = {f"plots/{name}.svg": name.encode() for name in pictures}
    return Evaluation(table, summary, report, files)


def test_what_is_saved_is_read_back(directory):
    record = evaluation("scatter", "histogram")
    names = codec.save(record, directory)
    assert names == sorted(names)
    assert all(directory.path(name).is_file() for name in names)
    loaded = codec.load(directory)
    assert loaded.predictions.equals(record.predictions)
    assert np.isnan(loaded.summary["test/spearman"])
    assert loaded.summary["test/mse"] == 0.5
    assert loaded.report == record.report
    assert loaded.files == record.files


def test_deviations_and_class_probabilities_are_further_columns(directory):
    record = evaluation()
    table = record.predictions
    for name in ("deviation", "p_at_least_1", "p_at_least_2"):
        table = table.append_column(name, pa.array([0.5, None], pa.float64()))
    codec.save(replace(record, predictions=table), directory)
    assert codec.load(directory).predictions.equals(table)
    codec.save(
        replace(record, predictions=table.rename_columns([*table.column_names[:-1], "odd"])), directory
    )
    with pytest.raises(CorruptArtifact, match="has the columns"):
        codec.load(directory)


def test_pictures_of_an_earlier_evaluation_do_not_stay(directory):
    codec.save(evaluation("scatter", "learning_curve"), directory)
    names = codec.save(evaluation("scatter"), directory)
    assert [path.name for path in directory.path("artifacts/plots").iterdir()] == ["scatter.svg"]
    assert "artifacts/plots/learning_curve.svg" not in names
    assert sorted(codec.load(directory).files) == ["plots/scatter.svg"]


@pytest.mark.parametrize("name", ["predictions.parquet", "report.json"])
def test_a_missing_file_is_named_with_what_to_do(directory, name):
    codec.save(evaluation(), directory)
    directory.path(f"artifacts/{name}").unlink()
    with pytest.raises(
        MissingArtifact, match=rf"artifacts/{name} of experiment toy-1 .* Run the evaluate stage again"
    ):
        codec.load(directory)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"summary": 1}', "\xff"])
def test_a_report_that_is_not_one_is_refused(directory, text):
    codec.save(evaluation(), directory)
    directory.report_json.write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptArtifact, match=r"artifacts/report\.json .* is not a report"):
        codec.load(directory)


def test_predictions_that_are_not_parquet_are_refused(directory):
    codec.save(evaluation(), directory)
    directory.predictions.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CorruptArtifact, match=r"artifacts/predictions\.parquet .* is not Parquet"):
        codec.load(directory)


def test_predictions_with_other_columns_are_refused(directory):
    codec.save(evaluation(), directory)
    from proteinx_pipelines.experiment_dir.files import write_parquet

    write_parquet(directory.predictions, pa.table({"id": ["a"]}))
    with pytest.raises(CorruptArtifact, match=r"has the columns \['id'\]"):
        codec.load(directory)
