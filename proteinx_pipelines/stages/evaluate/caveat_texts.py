"""Texts of the report's warnings, by code. `caveats` decides when each applies."""

from typing import Any

Caveat = dict[str, str]
"""`code` and `message`."""

MESSAGES = {
    "small_test": (
        "Few test rows: {n}. With fewer than 30 a rank correlation of 0.36 happens by chance 1 "
        "time in 20. Look at the interval, not at the value."
    ),
    "tiny_test": (
        "Very few test rows: {n}. Neither a correlation nor its interval means anything with fewer than {least}: do "
        "not quote them, test more variants."
    ),
    "few_resamples": (
        "{n:,} resamples leave {outside:g} outside of a {level:.3g} interval on each side, so its ends are rough. "
        "{enough:,} are enough, which is what `evaluate.bootstrap` null takes."
    ),
    "few_positions": (
        "The test variants change {n} positions. An interval that draws fewer than {least} says little about other "
        "positions: test more of them."
    ),
    "intervals_too_narrow": (
        "The model's 95 % intervals contain {inside:.1%} of the {n:,} measured values{ends}: its deviations are too "
        "small, do not rely on them."
    ),
    "intervals_too_wide": (
        "The model's 95 % intervals contain {inside:.1%} of the {n:,} measured values{ends}: its deviations are larger "
        "than its errors."
    ),
    "probabilities_say_nothing": (
        "Probabilities of reaching {threshold:g} are no better than the share of variants that do (Brier score "
        "{brier:.3f}, of the share {base:.3f}): do not rely on them."
    ),
    "probabilities_off": (
        "Probabilities of reaching {threshold:g} are not what they say: {predicted:.1%} on average, {observed:.1%} of "
        "the {n:,} test variants do, and the difference along the probabilities is more than chance. See the "
        "reliability table before you act on a single one."
    ),
    "outliers": (
        "{n} measured values are more than {factor} times as far from the median as half of the values: {names}. They "
        "decide Pearson's correlation, errors and R². Check them; `train.target=rank` trains on ranks, and "
        "`data.dms_score` leaves them out."
    ),
    "tied_spearman": (
        "Measured values tie: no model whose predictions differ can have a Spearman above {best:.3f}. Quote the value "
        "beside it."
    ),
    "noise_ceiling": (
        "Replicates differ so much that a perfect model would have a Pearson correlation of about {ceiling:.2f} with "
        "these measured values ({n:,} variants measured more than once). Quote the value beside it."
    ),
    "errors_unused": (
        "The standard errors of the scores were not used: {because}. `gp` and `auto` on `onehot` use them, for scores "
        "as they are."
    ),
    "not_finite": "Test predictions that are not finite: {n} of {total}. No metric is defined.",
    "constant_predictions": (
        "All test predictions are equal: correlations are undefined, the ranking says nothing."
    ),
    "constant_targets": (
        "All test targets are equal: correlations and NDCG are undefined, recalls of the top mean nothing."
    ),
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
    "pooled_over_sources": (
        "The pooled Spearman ({pooled:.3f}) is made by differences between sources: within each of them it is "
        "{mean:.3f} (mean of {n} sources). Quote the mean within sources."
    ),
    "sources_too_small": (
        "The test rows are of {n} sources, and none of them has {least}: how much of the pooled values comes from "
        "differences between sources is not known. Do not quote them."
    ),
    "small_folds": "A fold has fewer than 30 test rows: its own metrics are noise.",
    "tied_targets": (
        "Test targets tie where the measured top ends, so no model can reach 1: at best {best}. Quote the value beside "
        "its best."
    ),
    "standardized": (
        "Targets of this size ({size}) cannot be learned by a network as they are: they were standardised by mean and "
        "deviation of the training rows, as `train.target=standardize` does. Predictions are in the unit of the target."
    ),
    "ranked_targets": (
        "The {n} measured values are evenly spaced: they look like ranks, not measurements. Rank correlations keep "
        "their meaning; errors such as MSE, and R², are in places of the ranking."
    ),
    "classes_as_targets": (
        "The {n} measured values take only {count} distinct values ({values}): they look like classes. AUC and MCC "
        "judge those; rank correlations are limited by the ties. `transform.bins` gives the probability of each class."
    ),
    "not_in_file": (
        "{missing} of {n} variants are not in {file} and in no part{because}. The file was read by `{by}`{numbering}."
    ),
    "marks_not_used": (
        "{file} has a column '{column}' that looks as if it marked validation rows; without `split.val_column` those "
        "rows are trained on."
    ),
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
    "evidence": "{text}",
    "related_source": (
        "The prior for {source} was learned without {n} related assays: {names}, and without the others of their group."
    ),
    "prior_unused": (
        "The prior was not used for {source}: its relatives are in several groups of what the prior was learned from "
        "({n} assays: {names}). Learn one without them: `proteinx prior learn --exclude`."
    ),
    "evidence_unused": (
        "The {kind} is not used by {n} of {total} models: training rows left out, as the split leaves out its "
        "test rows, are predicted as well without it; those models are made without it."
    ),
    "no_better": (
        "The model ranks worse than the baseline '{title}' (Spearman {own:.3f} against {trivial:.3f})."
    ),
}
"""Every warning there is, by code."""


def caveat(code: str, **values: Any) -> Caveat:
    """One warning, its numbers filled in."""
    return {"code": code, "message": MESSAGES[code].format(**values)}
