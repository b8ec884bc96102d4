"""Derived columns, counted by hand."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from measurements import selection_of, variants_of

from proteinx_pipelines.flags.transform import DERIVED_COLUMNS, TransformFlags
from proteinx_pipelines.records import AMINO_ACIDS, VARIANT_COLUMNS
from proteinx_pipelines.scales import CHARGE, HYDROPATHY, VOLUME
from proteinx_pipelines.stages.transform.transform import transform_variants


def test_derived_columns_follow_the_others_in_the_order_asked_for():
    wanted = ("charge_change", "positions")
    assert tuple(variants_of("A1C", derived=wanted).rows.column_names) == (*VARIANT_COLUMNS, *wanted)


def test_derived_columns_say_what_a_mutant_changes():
    found = variants_of("WT", "K9E", "D3K:A1W", "D3A:K9K", derived=DERIVED_COLUMNS).rows.to_pylist()
    values = {row["mutant"]: tuple(row[name] for name in DERIVED_COLUMNS[:-1]) for row in found}
    assert values == {
        "WT": ("", "", 0.0, 0.0, 0.0),
        "K9E": ("9", "E", 0.4, -2.0, -30.2),  # -3.5 + 3.9; -1 - 1; 138.4 - 168.6
        "D3A:K9K": ("3", "A", 5.3, 1.0, -22.5),  # 1.8 + 3.5; 0 + 1; 88.6 - 111.1
        "D3K:A1W": (
            "1:3",
            "W:K",
            -3.1,
            2.0,
            196.7,
        ),  # -0.9 - 1.8 - 3.9 + 3.5; 1 + 1; 227.8 - 88.6 + 168.6 - 111.1
    }


def test_the_score_bin_is_that_of_the_mutant_that_is_kept():
    selection = selection_of(("A1C:K9K", 1.0), ("A1C", 2.0), ("A1D", 3.0))
    bins = pa.array(["0", "1", None], pa.string())
    rows = selection.rows.set_column(3, "DMS_score_bin", bins)
    flags = TransformFlags(derived=("score_bin",))
    table = transform_variants(replace(selection, rows=rows), flags).rows
    assert dict(zip(*(table[name].to_pylist() for name in ("mutant", "score_bin")), strict=True)) == {
        "A1C": "1", "A1D": None,
    }  # fmt: skip


def test_a_change_from_an_unknown_letter_is_null():
    row = variants_of("X2C:D3A", templates={"toy": "AXD"}, derived=DERIVED_COLUMNS).rows.to_pylist()[0]
    assert row["positions"] == "2:3"
    assert row["hydropathy_change"] is row["charge_change"] is row["volume_change"] is None


@pytest.mark.parametrize(
    ("scale", "lowest", "highest", "mean"),
    [(HYDROPATHY, "R", "I", -0.49), (CHARGE, "DE", "KR", 0.0), (VOLUME, "G", "W", 141.26)],
)
def test_the_scales_have_the_published_ends_and_means(scale, lowest, highest, mean):
    values = scale[[*AMINO_ACIDS.encode()]]
    assert np.isfinite(values).all()
    assert {letter for letter in AMINO_ACIDS if scale[ord(letter)] == values.min()} == set(lowest)
    assert {letter for letter in AMINO_ACIDS if scale[ord(letter)] == values.max()} == set(highest)
    assert values.mean() == pytest.approx(mean, abs=0.005)
    assert np.isnan(scale[ord("X")])
