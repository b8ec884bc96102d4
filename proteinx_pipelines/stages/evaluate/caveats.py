"""Warnings about numbers in the report that are easily misread, each with a code and a sentence.

A warning never stops an experiment. Conditions that must (an empty test part, one row in two parts) are checked by
the split stage.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.resampling.units import FEWEST_GROUPS
from proteinx_pipelines.resampling.within import ARTEFACT_GAP, MIN_GROUP_ROWS
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.target_caveats import about_outliers, about_targets

SMALL_TEST = 30
"""Below this many test rows a rank correlation of 0.36 is what chance gives 1 time in 20."""
TIED_FRACTION = 0.2
"""Share of test rows with a prediction that another row has too, above which ties are mentioned."""
NEAR_FRACTION = 0.1
"""Share of test rows with a training row one residue away, above which that is mentioned."""
SAME_SPEARMAN = 0.0005
"""Correlations nearer than this print as equal: a ridge on one-hot is the additive baseline itself."""


def find_caveats(
    variants: VariantTable,
    split: Split,
    test: Predictions,
    table: Mapping[str, Mapping[str, float]],
    baselines: Sequence[Mapping[str, Any]],
    leakage: Mapping[str, Any] | None = None,
    *,
    sources: Mapping[str, Any] | None = None,
    in_target_units: bool,
) -> list[Caveat]:
    """Find the warnings that apply to an evaluation.

    Args:
        variants: N rows.
        split: of those rows.
        test: P test predictions of one pass, out of fold for cross-validation.
        table: of `scores.summarise`, for the test part.
        baselines: of `baseline_scores.score_baselines`.
        leakage: of `leaked.leakage_facts`.
        sources: of `within_sources.source_facts`.
        in_target_units: whether predictions are in the target's unit.

    Returns:
        `code` (of `caveat_texts.MESSAGES`) and `message` of each.
    """
    target = variants.column("target")[test.rows]
    return [
        *_about_values(target, test.prediction),
        *about_targets(variants.column("target"), target, tuple(table)),
        *about_outliers(variants, test.rows),
        *_about_metrics(table, in_target_units=in_target_units),
        *_about_sources(table, sources),
        *_about_folds(test, table),
        *_about_file(split.info),
        *_about_leaks(leakage or {}, len(test)),
        *_about_rows(
            variants, split, test, {entry["check"] for entry in (leakage or {}).get("findings", ())}
        ),
        *_about_baselines(table, baselines),
    ]


def _about_values(target: np.ndarray, prediction: np.ndarray) -> Iterator[Caveat]:
    n_bad = int((~np.isfinite(prediction)).sum())
    tied = _tied_fraction(prediction)
    if len(target) < FEWEST_GROUPS:
        yield caveat("tiny_test", n=len(target), least=FEWEST_GROUPS)
    elif len(target) < SMALL_TEST:
        yield caveat("small_test", n=len(target))
    if n_bad:
        yield caveat("not_finite", n=n_bad, total=len(prediction))
    if len(target) > 1 and np.ptp(prediction) == 0:
        yield caveat("constant_predictions")
    elif tied > TIED_FRACTION:
        yield caveat("ties", share=tied)
    if len(target) > 1 and np.ptp(target) == 0:
        yield caveat("constant_targets")


def _tied_fraction(values: np.ndarray) -> float:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return float(np.mean(counts[group] > 1)) if len(values) else 0.0


def _about_metrics(table: Mapping[str, Mapping[str, float]], *, in_target_units: bool) -> Iterator[Caveat]:
    undefined = [name for name, entry in table.items() if not np.isfinite(entry["value"])]
    if not in_target_units:
        yield caveat("other_units")
    elif undefined:
        yield caveat("undefined", names=", ".join(undefined))


def _about_folds(test: Predictions, table: Mapping[str, Mapping[str, float]]) -> Iterator[Caveat]:
    folds = {int(fold): test.of_fold(fold).prediction for fold in np.unique(test.fold)}
    if len(folds) < 2:
        return
    constant = [fold for fold, values in folds.items() if len(values) > 1 and np.ptp(values) == 0]
    if constant:
        yield caveat("constant_in_folds", folds=", ".join(map(str, constant)))
    pooled, mean = (table.get("spearman", {}).get(view, np.nan) for view in ("value", "fold_mean"))
    if abs(pooled - mean) > ARTEFACT_GAP:
        yield caveat("pooled_differs", pooled=pooled, mean=mean)
    if any(len(values) < SMALL_TEST for values in folds.values()):
        yield caveat("small_folds")


def _about_sources(
    table: Mapping[str, Mapping[str, float]], sources: Mapping[str, Any] | None
) -> Iterator[Caveat]:
    if sources is None:
        return
    if not sources["counted"]:
        yield caveat("sources_too_small", n=len(sources["entries"]), least=MIN_GROUP_ROWS)
    pooled, mean = (table.get("spearman", {}).get(view, np.nan) for view in ("value", "source_mean"))
    if pooled - mean > ARTEFACT_GAP:
        yield caveat("pooled_over_sources", pooled=pooled, mean=mean, n=len(sources["counted"]))


def _about_file(info: Mapping[str, Any]) -> Iterator[Caveat]:
    """Warnings about variants that a split file does not name, and about parts of the file that were not used."""
    missing = info.get("variants_not_in_file", 0)
    if missing:
        reason, numberings = info.get("unmatched_because"), sorted(set(info.get("numbering", {}).values()))
        yield caveat(
            "not_in_file", missing=f"{missing:,}", n=f"{info['variants']:,}", file=info["file"], by=info["matched_by"],
            because=f' (accepted: "{reason}")' if reason else "",
            numbering=f" in {' and '.join(numberings)} numbering" if numberings else "",
        )  # fmt: skip
    if info.get("marks_not_used"):
        yield caveat("marks_not_used", file=info["file"], column=info["marks_not_used"])


def _about_leaks(leakage: Mapping[str, Any], n_tested: int) -> Iterator[Caveat]:
    for entry in leakage.get("findings", ()):
        rows, sequences = entry["test_rows"], entry["sequences"]
        what = f"{rows} leaked test rows" if rows else f"{sequences} sequences in several places of the file"
        yield caveat("leak_allowed", check=entry["check"], what=what, reason=entry["reason"])
    near = leakage.get("near_identical") or 0
    if near > NEAR_FRACTION * n_tested:
        yield caveat("near_identical", n=near, total=n_tested, share=near / n_tested)


def _about_rows(variants: VariantTable, split: Split, test: Predictions, said: set[str]) -> Iterator[Caveat]:
    n_wild_types = int((variants.column("mutant")[test.rows] == WILD_TYPE).sum())
    if n_wild_types and "wild_type_in_test" not in said:
        yield caveat("wild_type_in_test", n=n_wild_types)
    n_shared = _shared_sequences(variants, split)
    if n_shared and not said & {"same_sequence", "synonymous_mutants"}:
        yield caveat("same_sequence", n=n_shared)


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
    views = [view for view in ("source_mean", "fold_mean", "value") if view in table["spearman"]]
    view = views[0]
    own = table["spearman"][view]
    for baseline in baselines:
        trivial = baseline["metrics"]["spearman"][view]
        if own < trivial - SAME_SPEARMAN:  # false where either is undefined: other warnings say so
            yield caveat("no_better", title=baseline["title"], own=own, trivial=trivial)
