"""One answer to the question whether test rows are at new positions, for intervals, models and class probabilities."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.flags.evaluate import EvaluateFlags
from proteinx_pipelines.flags.split import SPLIT_METHODS, SplitFlags, leaves_out_positions
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.evaluate.intervals import what_is_drawn
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.train.class_probabilities import calibrated

LETTERS = "CDEFGHIKLMNPQRSTVWY"


def table(
    *mutants: str, source: str | list[str] = "a", templates: dict[str, str] | None = None
) -> VariantTable:
    """Variants of a protein of 60 alanines; every other one is a hit."""
    n = len(mutants)
    rows = pa.table(
        {
            "source": [source] * n if isinstance(source, str) else source,
            "mutant": list(mutants),
            "sequence": [f"{number}" for number in range(n)],
            "target": np.arange(n) % 2.0,
        }
    )
    return VariantTable(rows, templates or {"a": "A" * 60})


def singles(*sites: int, each: int = 4) -> list[str]:
    return [f"A{site}{letter}" for site in sites for letter in LETTERS[:each]]


def fold_of(n_trained: int, n: int) -> Fold:
    rows = np.arange(n)
    return Fold(rows[:n_trained], rows[:0], rows[n_trained:])


CASES = [
    ("trained positions", singles(1, 2), ["A1W", "A2W"], "variants"),
    ("half of them new, next to trained ones", singles(1, 3), ["A2W", "A1W"], "positions"),
    ("fewer than half new", singles(1, 3), ["A2W", "A1W", "A3W"], "variants"),
    ("one new position of two is enough", singles(1, 3), ["A1W:A2W"], "positions"),
    ("far from trained ones", singles(1, 2), ["A30W", "A31W"], "stretches"),
    ("the wild type is at no new position", singles(1, 2), ["WT", "WT", "A3W"], "variants"),
    ("a mutation that changes nothing is none", singles(1, 2), ["A1W:A9A", "A2W:A9A"], "variants"),
    ("one trained position alone cannot be left out", singles(1), ["A9W", "A8W"], "variants"),
]


@pytest.mark.parametrize(
    ("trained", "tested", "asked"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_test_rows_say_what_is_asked_whatever_the_name_of_the_split(trained, tested, asked):
    variants = table(*trained, *tested)
    fold = fold_of(len(trained), variants.n_variants)
    for method in SPLIT_METHODS:
        assert changed_sites(variants).asked(fold, method, "variants") == asked


@pytest.mark.parametrize("method", SPLIT_METHODS)
@pytest.mark.parametrize("held_out", ["variants", "positions"])
def test_where_nothing_is_tested_the_method_says_it(method, held_out):
    """Once, `by_position`, `leave_one_position_out` and `leave_p_out` of positions were taken for new variants."""
    variants = table(*singles(1, 2))
    found = changed_sites(variants).asked(fold_of(8, 8), method, held_out)
    assert (found != "variants") == leaves_out_positions(method, held_out)
    assert (found == "stretches") == (method == "contiguous")
    assert changed_sites(table(*singles(1))).asked(fold_of(4, 4), method, held_out) == "variants"


def test_two_assays_of_one_protein_share_its_positions():
    """Once, intervals and class probabilities took every position of the second assay for new; models did not."""
    mutants = singles(1, 2, 30)
    one, two = table(*mutants, *mutants, source=["a"] * 12 + ["b"] * 12), ["a", "b"]
    same = VariantTable(one.rows, dict.fromkeys(two, "A" * 60))
    other = VariantTable(one.rows, {"a": "A" * 60, "b": "A" * 59 + "W"})
    fold = fold_of(12, 24)
    assert changed_sites(same).asked(fold, "by_source", "variants") == "variants"
    assert unit_of(same, fold, "by_source") == "variants"
    assert changed_sites(other).asked(fold, "by_source", "variants") == "stretches"
    assert unit_of(other, fold, "by_source") == "positions"


def unit_of(variants: VariantTable, fold: Fold, method: str) -> str:
    split = Split(pa.array([""] * variants.n_variants), [fold], pa.array([]), {"method": method})
    test = Predictions(fold.test, np.zeros(len(fold.test), np.int32), np.zeros(0))
    return what_is_drawn(variants, split, test, EvaluateFlags()).unit


def calibrated_by(variants: VariantTable, fold: Fold, method: str) -> str:
    smallest = []

    def left_out(part: Fold, _number: int) -> np.ndarray:
        smallest.append(len(part.train))
        return np.zeros(len(part.test))

    _, told = calibrated(
        variants, Split(None, (fold,), None, {}), fold, (0.5,), asked=SplitFlags.model_construct(method=method),
        validation=None, left_out=left_out, seed=0,
    )  # fmt: skip
    assert min(smallest) > 0
    return str(told["class_probabilities"]["calibrated_on"]).removeprefix("training rows left out by ")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=2, max_size=6, unique=True), st.data())
def test_intervals_models_and_class_probabilities_agree(sites, data):
    trained = singles(*sites)
    tested = [f"A{site}W" for site in data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=8))]
    variants = table(*trained, *tested)
    fold = fold_of(len(trained), variants.n_variants)
    asked = changed_sites(variants).asked(fold, "file", "variants")
    assert calibrated_by(variants, fold, "file") == asked
    assert unit_of(variants, fold, "file") == ("variants" if asked == "variants" else "positions")


def test_short_stretches_are_positions_for_class_probabilities_too():
    """Once, the name `contiguous` decided there and the distance in models."""
    variants = table(*singles(*range(1, 11)), *singles(11, 12))
    fold = fold_of(40, variants.n_variants)
    assert calibrated_by(variants, fold, "contiguous") == "positions"


def test_a_training_at_one_position_is_calibrated_on_single_variants():
    """Once, all of its rows were one group, left out of a training without rows."""
    variants = table(*singles(1, each=12), *singles(20, 21))
    assert calibrated_by(variants, fold_of(12, variants.n_variants), "file") == "variants"
