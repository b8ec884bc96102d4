"""When a number in the report does not mean what it seems to: warnings, each with a code and a sentence.

A warning never stops an experiment. What must stop one (an empty test part, the same row in two parts) is
for the split stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.stages.evaluate.predict import Predictions

SMALL_TEST = 30
"""Below this many test rows a rank correlation of 0.36 is what chance gives 1 time in 20."""
TIED_FRACTION = 0.2
"""Share of test rows with a prediction that another row has too, above which ties are mentioned."""
NEAR_FRACTION = 0.1
"""Share of test rows with a training row one residue away, above which that is mentioned."""
ARTEFACT_GAP = 0.05
"""Difference between pooled and fold-mean Spearman above which the two are said to disagree."""
SAME_SPEARMAN = 0.0005
"""Correlations nearer than this print as equal: a ridge on one-hot is the additive baseline itself."""

MESSAGES = {
    "small_test": (
        "Few test rows: {n}. With fewer than 30 a rank correlation of 0.36 happens by chance 1 "
        "time in 20. Look at the interval, not at the value."
    ),
    "not_finite": "Test predictions that are not finite: {n} of {total}. No metric is defined.",
    "constant_predictions": (
        "All test predictions are equal: correlations are undefined, the ranking says nothing."
    ),
    "constant_targets": "All test targets are equal: correlations and NDCG are undefined.",
    "ties": (
        "{share:.0%} of the test predictions are shared with another row. Ties get average ranks "
        "here; another tool may break them otherwise and print another Spearman."
    ),
    "other_units": (
        "Predictions are normal scores of ranks (`train.target` is 'rank'), not in the unit of "
        "the target: errors such as MSE are left out."
    ),
    "undefined": "Undefined on these test rows: {names}.",
    "constant_in_folds": (
        "Predictions are constant within fold {folds}. The pooled Spearman then compares folds, "
        "not variants: an artefact, often negative. Quote the fold mean, or choose another "
        "representation."
    ),
    "pooled_differs": (
        "Pooled Spearman ({pooled:.3f}) and its mean over folds ({mean:.3f}) disagree: part of "
        "the pooled value comes from differences between folds. Say which of the two you quote."
    ),
    "small_folds": "A fold has fewer than 30 test rows: its own metrics are noise.",
    "wild_type_in_test": (
        "Wild-type rows in the test part: {n}. The wild type is the reference that most assays "
        "are scaled by, not a variant to predict."
    ),
    "same_sequence": (
        "Test rows whose sequence is also trained on: {n}. The score is too good by what the "
        "model remembers. `transform.synonymous` 'merge' prevents it."
    ),
    "leak_allowed": (
        "The leakage check '{check}' found {what} and is switched off: \"{reason}\". See the score without the "
        "leaked rows."
    ),
    "near_identical": (
        "{n} of {total} test rows ({share:.0%}) differ in one residue from a training row. The score says how well "
        "gaps between measured variants are filled, not how well new positions are predicted: "
        "`split.method` 'by_position' asks that."
    ),
    "no_better": (
        "The model ranks worse than the baseline '{title}' (Spearman {own:.3f} against {trivial:.3f})."
    ),
}
"""Every warning there is, by code."""

Caveat = dict[str, str]


def find_caveats(
    variants: VariantTable,
    split: Split,
    test: Predictions,
    table: Mapping[str, Mapping[str, float]],
    baselines: Sequence[Mapping[str, Any]],
    leakage: Mapping[str, Any] | None = None,
    *,
    in_target_units: bool,
) -> list[Caveat]:
    """Everything a reader must know before quoting the numbers.

    Args:
        variants: N rows.
        split: of those rows.
        test: P test predictions of one pass, out of fold for cross-validation.
        table: of `scores.summarise`, for the test part.
        baselines: of `scores.score_baselines`.
        leakage: of `leaked.leakage_facts`.
        in_target_units: whether predictions are in the target's unit.

    Returns:
        `code` (of `MESSAGES`) and `message` of each.
    """
    target = variants.column("target")[test.rows]
    return [
        *_about_values(target, test.prediction),
        *_about_metrics(table, in_target_units=in_target_units),
        *_about_folds(test, table),
        *_about_leaks(leakage or {}, len(test)),
        *_about_rows(
            variants, split, test, {entry["check"] for entry in (leakage or {}).get("findings", ())}
        ),
        *_about_baselines(table, baselines),
    ]


def _caveat(code: str, **values: Any) -> Caveat:
    return {"code": code, "message": MESSAGES[code].format(**values)}


def _about_values(target: np.ndarray, prediction: np.ndarray) -> Iterator[Caveat]:
    n_bad = int((~np.isfinite(prediction)).sum())
    tied = _tied_fraction(prediction)
    if len(target) < SMALL_TEST:
        yield _caveat("small_test", n=len(target))
    if n_bad:
        yield _caveat("not_finite", n=n_bad, total=len(prediction))
    if len(target) > 1 and np.ptp(prediction) == 0:
        yield _caveat("constant_predictions")
    elif tied > TIED_FRACTION:
        yield _caveat("ties", share=tied)
    if len(target) > 1 and np.ptp(target) == 0:
        yield _caveat("constant_targets")


def _tied_fraction(values: np.ndarray) -> float:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return float(np.mean(counts[group] > 1)) if len(values) else 0.0


def _about_metrics(table: Mapping[str, Mapping[str, float]], *, in_target_units: bool) -> Iterator[Caveat]:
    undefined = [name for name, entry in table.items() if not np.isfinite(entry["value"])]
    if not in_target_units:
        yield _caveat("other_units")
    elif undefined:
        yield _caveat("undefined", names=", ".join(undefined))


def _about_folds(test: Predictions, table: Mapping[str, Mapping[str, float]]) -> Iterator[Caveat]:
    folds = {int(fold): test.of_fold(fold).prediction for fold in np.unique(test.fold)}
    if len(folds) < 2:
        return
    constant = [fold for fold, values in folds.items() if len(values) > 1 and np.ptp(values) == 0]
    if constant:
        yield _caveat("constant_in_folds", folds=", ".join(map(str, constant)))
    pooled, mean = (table.get("spearman", {}).get(view, np.nan) for view in ("value", "fold_mean"))
    if abs(pooled - mean) > ARTEFACT_GAP:
        yield _caveat("pooled_differs", pooled=pooled, mean=mean)
    if any(len(values) < SMALL_TEST for values in folds.values()):
        yield _caveat("small_folds")


def _about_leaks(leakage: Mapping[str, Any], n_tested: int) -> Iterator[Caveat]:
    for entry in leakage.get("findings", ()):
        rows, sequences = entry["test_rows"], entry["sequences"]
        what = f"{rows} leaked test rows" if rows else f"{sequences} sequences in several places of the file"
        yield _caveat("leak_allowed", check=entry["check"], what=what, reason=entry["reason"])
    near = leakage.get("near_identical") or 0
    if near > NEAR_FRACTION * n_tested:
        yield _caveat("near_identical", n=near, total=n_tested, share=near / n_tested)


def _about_rows(variants: VariantTable, split: Split, test: Predictions, said: set[str]) -> Iterator[Caveat]:
    n_wild_types = int((variants.column("mutant")[test.rows] == WILD_TYPE).sum())
    if n_wild_types and "wild_type_in_test" not in said:
        yield _caveat("wild_type_in_test", n=n_wild_types)
    n_shared = _shared_sequences(variants, split)
    if n_shared and not said & {"same_sequence", "synonymous_mutants"}:
        yield _caveat("same_sequence", n=n_shared)


def _shared_sequences(variants: VariantTable, split: Split) -> int:
    """Test rows whose sequence is among their fold's training rows, each counted once."""
    encoded = pc.dictionary_encode(variants.rows.column("sequence").cast("large_string").combine_chunks())
    if len(encoded.dictionary) == variants.n_variants:
        return 0
    codes = encoded.indices.to_numpy()
    shared = [fold.test[np.isin(codes[fold.test], codes[fold.train])] for fold in split.folds]
    return len(np.unique(np.concatenate(shared)))


def _about_baselines(
    table: Mapping[str, Mapping[str, float]], baselines: Sequence[Mapping[str, Any]]
) -> Iterator[Caveat]:
    if "spearman" not in table:
        return
    view = "fold_mean" if "fold_mean" in table["spearman"] else "value"
    own = table["spearman"][view]
    for baseline in baselines:
        trivial = baseline["metrics"]["spearman"][view]
        if own < trivial - SAME_SPEARMAN:  # false where either is undefined: other warnings say so
            yield _caveat("no_better", title=baseline["title"], own=own, trivial=trivial)
