"""The blocking check finds what is wrong with a split, whoever made it."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from measurements import variants_of

from proteinx_pipelines.records import Fold, Split
from proteinx_pipelines.stages.split.check import check_split

VARIANTS = variants_of("WT", "A1C", "A1D", "A1E", "A1E:K9K", synonymous="keep")
IDS = VARIANTS.rows["id"].combine_chunks()


def split_of(*folds):
    made = [Fold(*(np.array(part, np.int64) for part in fold)) for fold in folds]
    return Split(IDS, made, pa.array(["because"] * len(IDS)))


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        ([([0, 1], [2], [3, 4])], []),
        ([([0, 1], [], [2])], []),
        ([([0, 1], [1], [2])], ["The split: 1 row is in more than one part (toy/A1C)."]),
        (
            [([0, 1], [], [2]), ([0, 1, 2], [], [1, 2])],
            ["Fold 1: 2 rows are in more than one part (toy/A1C, toy/A1D)."],
        ),
        ([([0, 5], [], [1])], ["The split: train has rows outside 0 to 4."]),
        ([([0], [-1], [1])], ["The split: val has rows outside 0 to 4."]),
        ([([1, 0], [], [2, 2])], ["The split: train has rows twice or out of order.",
                                  "The split: test has rows twice or out of order."]),
        ([([], [], [1])], ["The split: train is empty."]),
        ([([0], [1], [])], ["The split: test is empty."]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(folds, expected):
    assert check_split(split_of(*folds), VARIANTS) == expected


def test_a_split_of_other_variants_is_refused():
    split = split_of(([0], [], [1]))
    for ids in (IDS.take(pa.array([1, 0, 2, 3, 4])), IDS[:4]):
        assert check_split(replace(split, ids=ids), VARIANTS) == [
            "The ids of the split are not those of the variant table. Run the split stage again."
        ]
