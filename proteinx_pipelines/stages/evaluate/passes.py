"""Scores of repeated and nested cross-validation: every row is tested once per pass, and passes are averaged.

The value of a metric is the mean over passes of its pooled value; pooling over passes would count every row
several times and make intervals too narrow. Baselines are averaged like the model; plots and groups show the first
pass.

Sets of `leave_p_out` overlap. There the first pass has the first test of every row, the second pass the second, and so
on, as often as every tested row is tested; further tests of some rows are in the table of predictions alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.records import Split
from proteinx_pipelines.stages.evaluate import scores
from proteinx_pipelines.stages.evaluate.predict import Predictions


def passes_of(test: Predictions, split: Split) -> list[Predictions]:
    """The test predictions pass by pass; one entry where every row is tested once."""
    n_passes = int(split.info.get("passes", 1))
    of_pass = test.fold // max(1, len(split.folds) // n_passes)
    times = int(split.info.get("times_tested", 1))
    if "times_tested" not in split.info:
        return [test.chosen(of_pass == number) for number in range(n_passes)]
    turn = _turns(test, of_pass)
    return [
        test.chosen((of_pass == number) & (turn == which))
        for number in range(n_passes)
        for which in range(times)
    ]


def _turns(test: Predictions, of_pass: np.ndarray) -> np.ndarray:
    """int64 [P]: how many tests of the same row, in the same inner folds, come before each prediction."""
    order = np.lexsort((test.fold, test.rows, of_pass))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(test.rows[order]) != 0) | (np.diff(of_pass[order]) != 0)
    place = np.arange(len(order))
    turn = np.empty(len(order), np.int64)
    turn[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    return turn


def same_rows(passes: Sequence[Predictions]) -> bool:
    """True if every pass tests the same rows.

    False if random positions leave multi-mutants untested, different ones in each pass.
    """
    return all(np.array_equal(own.rows, passes[0].rows) for own in passes)


def score_passes(
    names: Sequence[str], target: np.ndarray, passes: Sequence[Predictions], *, in_target_units: bool
) -> list[dict[str, float]]:
    """Every metric of each pass, pooled over its folds. `target` is of the whole table [N]."""
    return [
        scores.score(names, target[own.rows], own.prediction, in_target_units=in_target_units)
        for own in passes
    ]


def pass_facts(
    split: Split, passes: Sequence[Predictions], found: Sequence[Mapping[str, float]]
) -> dict[str, Any] | None:
    """Report entry about several passes: kind, number, test rows, and the spread of each metric."""
    if len(found) < 2:
        return None
    return {
        "kind": split.info.get("pass_kind", "round" if "times_tested" in split.info else "repeat"),
        "n": len(found),
        "same_rows": same_rows(passes),
        "n_test": [len(own) for own in passes],
        "sd": {name: float(np.std([values[name] for values in found], ddof=1)) for name in found[0]},
        "values": [dict(values) for values in found],
    }


def mean_of_passes(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Metric -> mean over the passes; NaN if it is undefined in one pass."""
    return {name: float(np.mean([values[name] for values in found])) for name in found[0]}
