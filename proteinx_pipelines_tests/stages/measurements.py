"""Selections and variant tables for the tests of transform and split: by hand, and from the shared data."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest

from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.records import Selection, VariantTable
from proteinx_pipelines.stages.transform.transform import transform_variants

TEMPLATE = "ACDEFGHIKL"
SHARED = Path(__file__).parents[2] / "../shared/data"
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(
        not SHARED.is_dir(), reason="the shared data folder is not there: real assays are skipped"
    ),
]


def selection_of(*rows, templates=None) -> Selection:
    """Rows are (mutant, score), of the source `toy`, or (source, mutant, score)."""
    full = [row if len(row) == 3 else ("toy", *row) for row in rows]
    source, mutant, score = ([row[i] for row in full] for i in range(3))
    table = pa.table(
        {
            "source": pa.array(source, pa.string()),
            "mutant": pa.array(mutant, pa.string()),
            "DMS_score": pa.array(score, pa.float64()),
            "DMS_score_bin": pa.nulls(len(full), pa.string()),
            "mut_num": pa.array([text.count(":") + (text != "WT") for text in mutant], pa.int32()),
        }
    )
    return Selection(table, {"toy": TEMPLATE} if templates is None else templates, {})


def variants_of(*rows, templates=None, **transform) -> VariantTable:
    """Rows as in `selection_of`, or mutants alone, which then score 0, 1, 2, ..."""
    scored = [(row, float(i)) if isinstance(row, str) else row for i, row in enumerate(rows)]
    return transform_variants(selection_of(*scored, templates=templates), TransformFlags(**transform))


def read_csv(name: str) -> pa.Table:
    return pyarrow.csv.read_csv(SHARED / name)


def template_of(name: str) -> str:
    assay = SHARED / "assays" / f"{name}.json"
    if assay.is_file():
        return json.loads(assay.read_text())["template"]
    return json.loads((SHARED / "proteingym_singles" / "index.json").read_text())[name]["template"]


def real_selection(file: str, name: str, *more) -> Selection:
    """All rows of a shared file as one source; `more` are further (mutant, score)."""
    table = read_csv(file)
    rows = zip(table["mutant"].to_pylist(), table["DMS_score"].to_pylist(), strict=True)
    return selection_of(*((name, *row) for row in [*rows, *more]), templates={name: template_of(name)})


def real_variants(file: str, name: str, *more) -> VariantTable:
    return transform_variants(real_selection(file, name, *more), TransformFlags())
