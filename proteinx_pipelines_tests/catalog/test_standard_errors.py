"""Errors beside the scores: which columns an import keeps, which the selection takes, and what it says of them."""

import logging

import pyarrow as pa
import pytest

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.further import further_of
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import UnknownScore
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.experiment_dir.codecs import selection as codec
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.records import STANDARD_ERROR
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.stages.transform.transform import transform_variants
from proteinx_pipelines.variant_files.understood import ReadingOptions

TEMPLATE = "ACDEFGHIKL"


@pytest.fixture
def catalog(tmp_path):
    """Imports files given as text, and selects from them."""

    class Catalog:
        database = tmp_path / "d.db"

        def add(self, text, name="assay", **options):
            (tmp_path / f"{name}.csv").write_text(text)
            return import_file(
                self.database,
                tmp_path / f"{name}.csv",
                template=TEMPLATE,
                options=ReadingOptions(**options),
            )

        def kept(self):
            with open_for_reading(self.database) as connection:
                return {column.name: column.kind for column in further_of(connection, 1)}

        def select(self, source="assay", **data):
            return select_variants(self.database, parse_flags({"data": {"source": source, **data}}).data)

        def errors(self, **data):
            rows = self.select(**data).rows
            return rows[STANDARD_ERROR].to_pylist() if STANDARD_ERROR in rows.column_names else None

    return Catalog()


def test_errors_and_replicates_in_a_file_of_the_plain_form_are_kept(catalog):
    """`mutant,DMS_score,se` is read by the fast reader, which knew no other column and dropped the errors."""
    catalog.add("mutant,DMS_score,se,rep1,rep2\nA1C,1,0.1,0.9,1.1\nA1D,2,0.2,1.9,2.1\n")
    assert catalog.kept() == {"se": "standard error", "rep1": "replicate", "rep2": "replicate"}
    assert catalog.errors() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("header", "cells", "errors", "facts"),
    [
        ("fitness,se", "1,0.5", 0.5, {"column": "se", "kind": "standard error"}),
        ("fitness,fitness_SEM", "1,0.5", 0.5, {"column": "fitness_SEM", "kind": "standard error"}),
        ("odd name,SE of odd name", "1,0.5", 0.5, {"column": "SE of odd name", "kind": "standard error"}),
        ("fitness,sd", "1,0.5", 0.5, {"column": "sd", "kind": "deviation"}),
        ("fitness,sd,n", "1,0.5,4", 0.25, {"column": "sd", "kind": "deviation", "divided_by": "n"}),
        ("fitness,sd,reads", "1,0.5,4", 0.5, {"column": "sd", "kind": "deviation"}),
        ("fitness,sd,sem", "1,0.5,0.1", 0.1, {"column": "sem", "kind": "standard error"}),
        ("fitness", "1 ± 0.5", 0.5, {"column": "± of fitness", "kind": "deviation"}),
        ("fitness,n", "1,3", None, None),
        ("fitness,sd,stability_sd", "1,0.5,0.7", 0.5, {"column": "sd", "kind": "deviation"}),
    ],
)  # fmt: skip
def test_the_one_column_of_errors_is_taken(catalog, header, cells, errors, facts):
    missing = "," * header.count(",")
    catalog.add(f"mutant,{header}\nA1C,{cells}\nA1D,2{missing}\n", score_column=header.split(",")[0])
    found = catalog.select()
    if errors is None:
        assert STANDARD_ERROR not in found.rows.column_names
        return
    assert found.rows[STANDARD_ERROR].to_pylist() == [errors, None]
    assert found.query["errors"] == {"assay": {**facts, "impossible": 0, "known": 1}}


def test_a_deviation_of_an_unknown_number_of_values_is_unknown_beside_known_ones(catalog):
    catalog.add("mutant,fitness,sd,n\nA1C,1,0.5,\nA1D,2,0.5,4\nA1E,2,0.5,0\n")
    assert catalog.errors() == [None, 0.25, None]


def test_replicates_in_columns_give_the_error_of_their_mean(catalog):
    catalog.add("mutant,rep1,rep2,rep3\nA1C,1,2,3\nA1D,1,3,\nA1E,2,,\n")
    assert catalog.errors() == pytest.approx([3**-0.5, 1.0, None])
    assert catalog.select().query["errors"]["assay"]["divided_by"] == "values in the mean"


def test_each_score_has_its_own_errors(catalog):
    text = "mutant,fitness,fitness_se,stability,stability_sd\nA1C,1,0.1,10,3\nA1D,2,0.2,20 ± 9,4\n"
    catalog.add(text, score_column="fitness", further_columns=("stability",))
    assert catalog.errors() == [0.1, 0.2]
    assert catalog.errors(score="fitness") == [0.1, 0.2]
    # Two columns could be meant, the cells' own `±` and the column: none is taken unasked.
    found = catalog.select(score="stability")
    assert STANDARD_ERROR not in found.rows.column_names
    assert found.query["errors"] == {"assay": {"unclear": ["stability_sd", "± of stability"]}}
    assert catalog.errors(score="stability", error="stability_sd") == [3.0, 4.0]
    assert catalog.errors(score="stability", error="none") is None


def test_sources_without_errors_have_unknown_ones(catalog):
    catalog.add("mutant,DMS_score,se\nA1C,1,0.1\n", "one")
    catalog.add("mutant,DMS_score\nA1C,1\n", "two")
    catalog.add("mutant,DMS_score,sd,n\nA1C,1,0.5,4\n", "three")
    assert catalog.errors(source=["one", "two", "three"]) == [0.1, None, 0.25]
    assert catalog.errors(source=["two", "one"], error="se") == [0.1, None]
    found = catalog.select(source=["one", "two", "three"]).query["errors"]
    assert list(found) == ["one", "three"]
    with pytest.raises(
        UnknownScore, match=r"`data.error`: no source has a column 'sem'.*\n  one has se; did you"
    ):
        catalog.select(source=["one", "two"], error="sem")
    with pytest.raises(UnknownScore, match="two has none"):
        catalog.select(source="two", error="se")


def test_a_source_without_such_columns_is_selected_as_before(catalog):
    """Its rows have no further column, its query no further entry: what is computed behind keeps its key."""
    catalog.add("mutant,DMS_score,note\nA1C,1,3\nA1D,2,4\n")
    found, without = catalog.select(), catalog.select(error="none")
    assert found.rows.equals(without.rows)
    assert found.query == without.query
    assert "errors" not in found.query
    assert found.rows.column_names == ["source", "mutant", "DMS_score", "DMS_score_bin", "mut_num"]


def test_errors_that_no_measurement_has_are_unknown_and_told(catalog, caplog):
    text = "mutant,DMS_score,se\nA1C,1,0\nA1D,2,-1\nA1E,3,1e200\nA1F,4,0.5\nA1G,5,\nA1H,6,x\n"
    report = catalog.add(text)
    assert any("2 values of 'se' (standard error) are not above 0 (-1, 0)" in said for said in report.odd)
    with caplog.at_level(logging.WARNING):
        found = catalog.select()
    assert found.rows[STANDARD_ERROR].to_pylist() == [None, None, None, 0.5, None, None]
    assert found.query["errors"]["assay"] == {
        "column": "se", "kind": "standard error", "impossible": 3, "known": 1,
    }  # fmt: skip
    assert "3 errors in column 'se' of assay" in caplog.text


def test_conditions_and_draws_keep_each_error_with_its_row(catalog):
    lines = [f"A1{letter},{k},{k / 10}" for k, letter in enumerate("CDEFGHIKLMNPQRSTVWY", 1)]
    catalog.add("mutant,DMS_score,se\n" + "\n".join(lines) + "\n")
    found = catalog.select(dms_score={"min": 5}, limit=7).rows
    assert found.num_rows == 7
    assert found[STANDARD_ERROR].to_pylist() == [score / 10 for score in found["DMS_score"].to_pylist()]


def test_errors_reach_the_variants_and_the_key_of_the_training(catalog, tmp_path):
    catalog.add("mutant,DMS_score,se\nA1C,1,0.3\nA1C,2,0.4\nA1D,2,0.2\n")
    selected = catalog.select()
    directory = ExperimentDir(tmp_path, "x")
    codec.save(selected, directory, csv=True)
    assert codec.load(directory).rows.equals(selected.rows)
    assert b"standard_error" in directory.path("data/selected.csv").read_bytes()
    variants = transform_variants(codec.load(directory), TransformFlags())
    assert variants.column(STANDARD_ERROR).tolist() == pytest.approx([0.25, 0.2])
    computation = COMPUTATIONS["transform"]
    other = variants.rows.set_column(
        variants.rows.column_names.index(STANDARD_ERROR), STANDARD_ERROR, pa.array([0.25, 0.3])
    )
    digests = [
        computation.digests(type(variants)(rows, variants.templates), {})["targets"]
        for rows in (variants.rows, other, variants.rows.drop_columns([STANDARD_ERROR]))
    ]
    assert len(set(digests)) == 3
