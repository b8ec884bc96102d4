"""Class probabilities judged on the test rows: separation, calls, and whether the probabilities are what they say.

One table for each threshold of `transform.bins`. Values have the report's intervals (`resampling`): the same draws for
all of them. AUC and average precision judge the order alone, accuracy and MCC the calls at a probability of one half,
Brier score and log loss the probabilities themselves. The reliability table has ten groups of equal size by
probability: in a group of calibrated probabilities of about 0.8, about 80 % of the rows are above the threshold.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.metrics import average_ranks
from proteinx_pipelines.resampling.bootstrap import draws, percentiles
from proteinx_pipelines.resampling.shares import wilson
from proteinx_pipelines.stages.evaluate import passes
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.intervals import Drawn, resamples_of
from proteinx_pipelines.stages.evaluate.predict import Predictions

MEASURES = ("auc", "average_precision", "accuracy", "mcc", "brier", "log_loss")
"""Values of each threshold."""
GROUPS = 10
_FEWEST_IN_GROUP = 5
_LEAST = 1e-12
_SIGNIFICANT = 0.001
"""Chance of a difference as large as the found one below which probabilities are called wrong."""


def probability_facts(
    target: np.ndarray, by_pass: Sequence[Predictions], flags: ExperimentFlags, drawn: Drawn
) -> dict[str, Any] | None:
    """Entry `probabilities` of the report; None where targets are scores or a prediction is not finite.

    Args:
        target: float64 [N], classes.
        by_pass: test predictions, pass by pass; values are means over the passes, groups are of the first.
        flags: `transform.bins` and `evaluate.*`.
        drawn: what intervals draw.

    Returns:
        `n`, `counts` (test rows of each class) and `thresholds`: `class`, `threshold`, `positive`, the measures
        (`value`, `low`, `high`), `base_brier` (of the share of positive rows itself), `mean_probability`,
        `calibration_p` (of `spiegelhalter`) and `reliability` (`n`, `predicted`, `observed`, `low`, `high`).
    """
    first = by_pass[0]
    if not flags.transform.bins or any(
        each.probability is None or not np.isfinite(each.probability).all() for each in by_pass
    ):
        return None
    classes = target[first.rows]
    entries = []
    for cut, threshold in enumerate(flags.transform.bins):
        positive = [target[own.rows] > cut for own in by_pass]
        probability = [own.probability[:, cut] for own in by_pass if own.probability is not None]
        if positive[0].all() or not positive[0].any():
            continue  # nothing to separate among the test rows
        entries.append(
            {
                "class": cut + 1,
                "threshold": threshold,
                "positive": int(positive[0].sum()),
                **_measured(positive, probability, by_pass, flags, drawn),
                "base_brier": float(positive[0].mean() * (1 - positive[0].mean())),
                "mean_probability": float(probability[0].mean()),
                "calibration_p": spiegelhalter(positive[0], probability[0]),
                "reliability": reliability(positive[0], probability[0]),
            }
        )
    counts = np.bincount(classes.astype(np.int64), minlength=len(flags.transform.bins) + 1)
    return {"n": len(first), "counts": counts.tolist(), "thresholds": entries}


def summary_of(found: dict[str, Any] | None) -> dict[str, float]:
    """`test/auc`, ... for the summary; with several thresholds `test/auc_at_least_1`, ..."""
    entries = [] if found is None else found["thresholds"]
    several = found is not None and len(found["counts"]) > 2
    return {
        f"test/{name}" + (f"_at_least_{entry['class']}" if several else ""): entry[name]["value"]
        for entry in entries
        for name in MEASURES
    }


def about_probabilities(found: dict[str, Any] | None) -> Iterator[Caveat]:
    """Warnings about probabilities that say nothing, or not what they mean."""
    for entry in [] if found is None else found["thresholds"]:
        if entry["brier"]["value"] >= entry["base_brier"]:
            yield caveat(
                "probabilities_say_nothing", threshold=entry["threshold"], brier=entry["brier"]["value"],
                base=entry["base_brier"],
            )  # fmt: skip
        elif entry["calibration_p"] is not None and entry["calibration_p"] < _SIGNIFICANT:
            yield caveat(
                "probabilities_off", threshold=entry["threshold"], predicted=entry["mean_probability"],
                observed=entry["positive"] / found["n"] if found else 0.0, n=found["n"] if found else 0,
            )  # fmt: skip


def measures(positive: np.ndarray, probability: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Every measure on resamples.

    Args:
        positive: bool [n].
        probability: float64 [n].
        counts: float64 [n, B]: how often each row counts in each resample.

    Returns:
        Measure -> float64 [B]; NaN where a resample has one class.
    """
    order = np.argsort(-probability, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(probability[order]) != 0))
    weights = counts[order]
    is_positive = positive[order].astype(np.float64)[:, None]
    # [groups of equal probability, B], from the highest down
    up = np.add.reduceat(weights * is_positive, starts)
    down = np.add.reduceat(weights * (1 - is_positive), starts)
    all_up, all_down = up.sum(axis=0), down.sum(axis=0)
    called, total = np.cumsum(up, axis=0), np.cumsum(up + down, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(total > 0, called / total, 0.0)
        beaten = all_down - np.cumsum(down, axis=0) + 0.5 * down
        right = np.where(positive, probability >= 0.5, probability < 0.5).astype(np.float64)
        true_up = (positive & (probability >= 0.5)).astype(np.float64) @ counts
        false_up = (~positive & (probability >= 0.5)).astype(np.float64) @ counts
        n, n_called = counts.sum(axis=0), true_up + false_up
        mcc = (true_up * n - n_called * all_up) / np.sqrt(all_up * all_down * n_called * (n - n_called))
        likely = np.log(np.maximum(np.where(positive, probability, 1 - probability), _LEAST))
        found = {
            "auc": (up * beaten).sum(axis=0) / (all_up * all_down),
            "average_precision": (up * precision).sum(axis=0) / all_up,
            "accuracy": right @ counts / n,
            "mcc": mcc,
            "brier": (probability - positive) ** 2 @ counts / n,
            "log_loss": -likely @ counts / n,
        }
    undefined = (all_up == 0) | (all_down == 0)
    return {name: np.where(undefined, np.nan, values) for name, values in found.items()}


def reliability(positive: np.ndarray, probability: np.ndarray) -> list[dict[str, float]]:
    """Share of positive rows in groups of equal size by probability; equal probabilities stay together.

    Returns:
        `n`, `predicted` (mean probability), `observed` (share of positive rows) and its 95 % interval, `low` and `high`
        (`resampling.shares`), for each group.
    """
    n_groups = max(1, min(GROUPS, len(positive) // _FEWEST_IN_GROUP))
    group = np.minimum(
        ((average_ranks(probability) - 0.5) * n_groups / len(positive)).astype(np.int64), n_groups - 1
    )
    entries = []
    for each in np.unique(group):
        own = group == each
        n, above = int(own.sum()), int(positive[own].sum())
        low, high = wilson(above, n)
        entries.append(
            {
                "n": n, "predicted": float(probability[own].mean()), "observed": above / n,
                "low": low, "high": high,
            }
        )  # fmt: skip
    return entries


def spiegelhalter(positive: np.ndarray, probability: np.ndarray) -> float | None:
    """Chance of a Brier score as far from its expectation if the probabilities were right; None if it is fixed.

    Source:
        Spiegelhalter 1986, "Probabilistic prediction in patient management and clinical trials", Stat. Med. 5:421.
    """
    from scipy.special import ndtr  # deferred: SciPy is not needed to load definitions

    spread = float(((1 - 2 * probability) ** 2 * probability * (1 - probability)).sum())
    if spread <= 0:
        return None
    z = float(((positive - probability) * (1 - 2 * probability)).sum()) / np.sqrt(spread)
    return float(2 * ndtr(-abs(z)))


def _measured(
    positive: Sequence[np.ndarray], probability: Sequence[np.ndarray], by_pass: Sequence[Predictions],
    flags: ExperimentFlags, drawn: Drawn,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Measures as `value`, `low` and `high`: means over the passes, resampled alike in all of them."""
    pairs = list(zip(positive, probability, strict=True))
    once = [measures(*pair, np.ones((len(pair[0]), 1))) for pair in pairs]
    found = {name: {"value": float(np.mean([each[name][0] for each in once]))} for name in MEASURES}
    groups, resamples = drawn.of(drawn.unit), resamples_of(flags.evaluate)
    if resamples == 0 or not passes.same_rows(by_pass) or (groups is not None and drawn.n_positions < 2):
        return found
    chunks: dict[str, list[np.ndarray]] = {name: [] for name in MEASURES}
    for counts in draws(len(positive[0]), resamples, flags.evaluate.seed, groups):
        each = [measures(*pair, counts) for pair in pairs]
        for name in MEASURES:
            chunks[name].append(np.mean([own[name] for own in each], axis=0))
    for name in MEASURES:
        found[name]["low"], found[name]["high"] = percentiles(np.concatenate(chunks[name]), flags.evaluate.ci)
    return found
