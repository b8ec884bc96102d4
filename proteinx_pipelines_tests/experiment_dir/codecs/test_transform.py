import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.transform import SUMMARY_FILE, load, save
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import VariantTable

VARIANTS_FILE = "data/transform/variants.parquet"


@pytest.fixture
def directory(tmp_path):
    return ExperimentDir(tmp_path / "experiments", "exp-1")


def table(chunks=1):
    rows = pa.table(
        {
            "id": ["toy/WT", "toy/A1C", "ö/A1C"],
            "source": ["toy", "toy", "ö"],
            "mutant": ["WT", "A1C", "A1C"],
            "sequence": ["ACD", "CCD", "CC"],
            "target": [1.0, -0.5, float("inf")],
            "DMS_score": [1.0, 0.5, 3.0],
            "mut_num": pa.array([0, 1, 1], pa.int32()),
            "n_merged": pa.array([1, 2, 1], pa.int32()),
            "charge_change": [0.0, None, 1.0],
        }
    )
    pieces = [rows.slice(0, 1), rows.slice(1, 1), rows.slice(2)] if chunks == 3 else [rows]
    return VariantTable(
        pa.concat_tables(pieces), {"toy": "ACD", "ö": "AC"}, {"stop": 2, "replicates_merged": 1}
    )


def test_what_was_saved_is_loaded(directory):
    assert save(table(), directory) == [SUMMARY_FILE, VARIANTS_FILE]
    found = load(directory)
    assert found.rows.equals(table().rows)
    assert found.templates == table().templates
    assert found.dropped == table().dropped


def test_the_bytes_do_not_show_chunks_or_the_order_of_templates(directory, tmp_path):
    other = ExperimentDir(tmp_path / "elsewhere", "exp-2")
    save(table(), directory)
    cut = table(chunks=3)
    save(VariantTable(cut.rows, dict(reversed(cut.templates.items())), cut.dropped), other)
    for name in (SUMMARY_FILE, VARIANTS_FILE):
        assert directory.path(name).read_bytes() == other.path(name).read_bytes()


@pytest.mark.parametrize("name", [SUMMARY_FILE, VARIANTS_FILE])
def test_a_missing_file_is_named(directory, name):
    save(table(), directory)
    directory.path(name).unlink()
    with pytest.raises(MissingArtifact, match=f"{name} is not there. Run the transform stage of exp-1 again"):
        load(directory)


@pytest.mark.parametrize("name", [SUMMARY_FILE, VARIANTS_FILE])
@pytest.mark.parametrize("content", [b"", b"{}", b"PAR1 and then nothing", b"[]"])
def test_a_damaged_file_is_noticed(directory, name, content):
    save(table(), directory)
    directory.path(name).write_bytes(content)
    with pytest.raises(CorruptArtifact, match="exp-1 again"):
        load(directory)


def test_a_table_of_other_columns_or_rows_is_noticed(directory):
    save(table(), directory)
    pq.write_table(table().rows.drop_columns(["target"]), directory.variants)
    with pytest.raises(CorruptArtifact, match="first the columns id, source"):
        load(directory)
    pq.write_table(table().rows.slice(1), directory.variants)
    with pytest.raises(CorruptArtifact, match=r"has 2 rows .* 3 rows and"):
        load(directory)
