"""What the report says of the standard errors of the scores: facts, warnings, a sentence for the methods paragraph."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.flags.data import AUTO
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import STANDARD_ERROR, Training, VariantTable
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat


def error_facts(variants: VariantTable) -> dict[str, Any]:
    """`errors` for the section `data` of the report: `known` variants and their `median`; nothing if there are none."""
    errors = _errors_of(variants)
    return {"errors": {"known": len(errors), "median": float(np.median(errors))}} if len(errors) else {}


def about_errors(variants: VariantTable, training: Training, flags: ExperimentFlags) -> Iterator[Caveat]:
    """Warning about errors that the user asked for and the model did not read."""
    if not len(_errors_of(variants)):
        return
    if not flags.trains_on_scores:
        yield caveat("errors_unused", because="the model is trained on transformed scores")
    elif flags.data.error != AUTO and not _folds(training.info):
        because = f"{flags.model.name} did not weigh its training rows by them"
        yield caveat("errors_unused", because=because)


def errors_in_words(info: Mapping[str, Any]) -> Iterator[str]:
    """Sentence about the noise of the training rows, from the facts about the folds."""
    folds = _folds(info)
    if not folds:
        return
    known, shares = ([fold[name] for fold in folds] for name in ("known", "share"))
    rows = f"{min(known):,}" if min(known) == max(known) else f"{min(known):,} to {max(known):,}"
    if max(shares) == 0:
        yield (
            f"The scores of {rows} training rows have standard errors, which did not make the training rows more "
            "likely and were not used."
        )
        return
    part = " to ".join(f"{100 * share:g}" for share in sorted({min(shares), max(shares)}))
    yield (
        f"The noise of a training row follows the standard error of its score (known of {rows} rows), as far as that "
        f"makes the training rows more likely: for {part} % of the noise."
    )


def _folds(info: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [fold["noise_by_errors"] for fold in info.get("folds", ()) if "noise_by_errors" in fold]


def _errors_of(variants: VariantTable) -> np.ndarray:
    """Known standard errors, float64."""
    if STANDARD_ERROR not in variants.rows.column_names:
        return np.empty(0)
    found = variants.column(STANDARD_ERROR).astype(np.float64)
    return np.asarray(found[np.isfinite(found)])
