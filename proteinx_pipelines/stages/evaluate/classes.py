"""AUC and MCC: separation of the measured classes by the predictions.

The classes are those of the catalog's binned score where `transform.derived` carries it (`score_bin`); otherwise
the upper half of the targets, and `cutoff` says so. Predictions stay numbers. With `transform.bins`, models are trained
on classes, and `probabilities` judges them.
"""

from typing import Any

import numpy as np

from proteinx_pipelines.metrics import average_ranks
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.evaluate.predict import Predictions

SCORE_BIN = "score_bin"
"""Column of the variant table that holds the catalog's binned score."""


def class_facts(variants: VariantTable, test: Predictions) -> dict[str, Any] | None:
    """`auc`, `mcc`, `positive` and `n` of the test rows, and `cutoff`: in words, what is positive.

    None if there are not two classes, or a prediction is not finite.
    """
    positive, cutoff = _positive(variants)
    known = ~np.isnan(positive[test.rows])
    measured, predicted = positive[test.rows][known] > 0, test.prediction[known]
    if not len(predicted) or measured.all() or not measured.any() or not np.isfinite(predicted).all():
        return None
    return {
        "n": len(measured), "positive": int(measured.sum()), "cutoff": cutoff,
        "auc": auc(measured, predicted), "mcc": mcc(measured, predicted),
    }  # fmt: skip


def auc(positive: np.ndarray, prediction: np.ndarray) -> float:
    """Probability that a positive row is predicted above a negative one, ties counting half (bool [n], float [n])."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    ranks = average_ranks(prediction)[positive].sum()
    return float((ranks - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def mcc(positive: np.ndarray, prediction: np.ndarray) -> float:
    """Matthews' correlation with as many predicted positives as there are positive rows, plus ties with the last one.

    NaN if ties leave no predicted negative.

    Source: Matthews 1975, doi:10.1016/0005-2795(75)90109-9. With that cutoff it does not depend on the unit of
    the predictions.
    """
    edge = np.sort(prediction)[-int(positive.sum())]
    called = prediction >= edge
    if called.all():
        return float("nan")
    return float(np.corrcoef(positive, called)[0, 1])


def _positive(variants: VariantTable) -> tuple[np.ndarray, str]:
    """1 for positive rows, 0 for negative ones, NaN where the class is not known (float64 [N])."""
    if SCORE_BIN in variants.rows.column_names:
        texts = variants.column(SCORE_BIN)
        names = sorted({text for text in texts if text is not None}, key=_as_number)
        if len(names) > 1:
            found = np.array([np.nan if text is None else float(text == names[-1]) for text in texts])
            return found, f"DMS_score_bin is {names[-1]}"
    target = variants.column("target").astype(np.float64)
    middle = float(np.median(target))
    return (target > middle).astype(np.float64), f"target above the median of all variants, {middle:.4g}"


def _as_number(text: str) -> tuple[float, str]:
    try:
        return float(text), text
    except ValueError:
        return 0.0, text
