"""What selection wrote is what transform reads, and its bytes depend on the rows and templates alone."""

import dataclasses

import pyarrow as pa
import pyarrow.csv
import pytest

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.selection import load, save
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Selection

SELECTION = Selection(
    rows=pa.table(
        {
            "source": ["GB1", "GB1", "GB1"],
            "mutant": ["WT", "A1C", "A1C:D2*"],
            "DMS_score": [1.0, 0.1 + 0.2, None],
            "DMS_score_bin": pa.array([None, None, None], pa.string()),
            "mut_num": pa.array([0, 1, 2], pa.int32()),
        }
    ),
    templates={"GB1": "ADE"},
    query={"sql": "SELECT ?", "parameters": ["é", 1, 0.5], "database": "database.db", "rows": 3},
)


@pytest.fixture
def directory(tmp_path):
    return ExperimentDir(tmp_path, "gb1-001")


def test_a_selection_reads_back_equal(directory):
    assert save(SELECTION, directory) == ["config/data_query.json", "data/selected.parquet"]
    assert load(directory) == SELECTION


def test_chunks_and_the_query_do_not_change_the_rows_bytes(directory):
    save(SELECTION, directory)
    before = directory.selected.read_bytes()
    chunked = pa.concat_tables([SELECTION.rows.slice(0, 1), SELECTION.rows.slice(1)])
    save(dataclasses.replace(SELECTION, rows=chunked, query={"sql": "another"}), directory)
    assert directory.selected.read_bytes() == before


def test_another_template_is_another_content(directory):
    save(SELECTION, directory)
    before = directory.selected.read_bytes()
    save(dataclasses.replace(SELECTION, templates={"GB1": "ADF"}), directory)
    assert directory.selected.read_bytes() != before


def test_the_csv_is_there_when_asked_for_and_only_then(directory):
    assert "data/selected.csv" in save(SELECTION, directory, csv=True)
    table = pyarrow.csv.read_csv(directory.path("data/selected.csv"))
    assert table.column("mutant").to_pylist() == ["WT", "A1C", "A1C:D2*"]
    assert table.column("DMS_score").to_pylist() == [1.0, 0.1 + 0.2, None]
    save(SELECTION, directory)
    assert not directory.path("data/selected.csv").exists()


@pytest.mark.parametrize("name", ["data/selected.parquet", "config/data_query.json"])
def test_a_missing_or_damaged_file_says_which_stage_to_run_again(directory, name):
    save(SELECTION, directory)
    directory.path(name).write_bytes(directory.path(name).read_bytes()[:-9])
    with pytest.raises(CorruptArtifact, match="Run the selection stage of gb1-001 again"):
        load(directory)
    directory.path(name).unlink()
    with pytest.raises(MissingArtifact, match=name.split("/")[1]):
        load(directory)
