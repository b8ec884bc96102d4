"""Class probabilities of a fold's model, calibrated on rows that it has not seen and that are not tested.

    training rows -> five groups, as the split leaves out its test rows -> each predicted without it -> `ordinal`

A network with validation rows of the split's own kind uses those. The map is then that of the model of all training
rows, which has seen a quarter more than those that were judged: probabilities are a little too cautious, if anything.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.positions import Asked, Sites, changed_sites
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.train.ordinal import ClassMap, fit_class_map

GROUPS = 5
"""Groups that training rows are left out in."""
FEWEST = 5
"""Fewest training rows on each side of each threshold."""
_FEWEST_VALIDATED = 20
"""Validation rows from which a network is judged by them."""
_SHOWN = 5
LeftOut = Callable[[Fold, int], np.ndarray]
"""(fold, number of the group) -> predictions of the fold's test rows by a model of its training rows, float64 [n]."""


def check_classes(variants: VariantTable, split: Split, thresholds: tuple[float, ...]) -> None:
    """Check that every fold trains on both sides of each threshold.

    Raises:
        BadVariants: some do not; choose other thresholds, or another split.
    """
    target = variants.column("target")
    problems = []
    for number, fold in enumerate(split.folds):
        for k, threshold in enumerate(thresholds, start=1):
            above = int((target[fold.train] >= k).sum())
            if min(above, len(fold.train) - above) < FEWEST:
                where = f"fold {number}: " if len(split.folds) > 1 else ""
                problems.append(
                    f"{where}{above} of {len(fold.train)} training rows are at or above {threshold:g}"
                )
    if problems:
        more = f"\n  ... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise BadVariants(
            f"`transform.bins` needs at least {FEWEST} training rows on each side of each threshold:\n  "
            + "\n  ".join(problems[:_SHOWN])
            + f"{more}\nChoose other thresholds, select more variants, or take another split."
        )


def calibrated(
    variants: VariantTable,
    split: Split,
    fold: Fold,
    thresholds: tuple[float, ...],
    *,
    asked: SplitFlags,
    validation: np.ndarray | None,
    left_out: LeftOut,
    seed: int,
) -> tuple[ClassMap, dict[str, Any]]:
    """Fit the map from predictions to probabilities.

    Args:
        variants: N variants; targets are classes.
        split: gives the kind of its validation rows.
        fold: the fold; its test targets are not read.
        thresholds: `transform.bins`.
        asked: the flags of the split; they decide alone where nothing is tested, as for a model of all rows.
        validation: the model's predictions of the validation rows, if it trains in epochs.
        left_out: trains on a part of the training rows.
        seed: of the groups.

    Returns:
        The map, and for `training.json` the kind of the rows, their number and the parameters.
    """
    classes = variants.column("target")
    sites = changed_sites(variants)
    kind = sites.asked(fold, asked.method, asked.held_out)
    alike = kind == "variants" or "inner_method" in split.info
    if validation is not None and alike and _suffices(classes[fold.val], len(thresholds)):
        found = fit_class_map(validation, classes[fold.val], thresholds)
        return found, _told(found, "validation rows", len(fold.val))
    group = _groups(variants, sites, fold.train, kind, seed)
    predictions = np.empty(len(fold.train))
    for number in np.unique(group):
        out = group == number
        part = Fold(fold.train[~out], fold.val, fold.train[out])
        predictions[out] = left_out(part, int(number))
    found = fit_class_map(predictions, classes[fold.train], thresholds)
    return found, _told(found, f"training rows left out by {kind}", len(fold.train))


def _suffices(classes: np.ndarray, k: int) -> bool:
    above = np.array([(classes >= cut).sum() for cut in range(1, k + 1)])
    return len(classes) >= _FEWEST_VALIDATED and bool(
        (np.minimum(above, len(classes) - above) >= FEWEST).all()
    )


def _told(found: ClassMap, rows: str, n: int) -> dict[str, Any]:
    return {"class_probabilities": {"calibrated_on": rows, "rows": n, **found.document()}}


def _groups(variants: VariantTable, sites: Sites, training: np.ndarray, kind: Asked, seed: int) -> np.ndarray:
    """Group of each training row, int64 [n]: whole sequences, positions or stretches together."""
    if kind == "variants":
        sequence = variants.rows.column("sequence").combine_chunks().dictionary_encode().indices.to_numpy()
        unit, first = np.unique(sequence[training], return_index=True)
        classes = variants.column("target")[training][first]
        place = np.empty(len(unit), np.int64)
        order = np.lexsort((np.random.default_rng(seed).permutation(len(unit)), classes))
        place[order] = np.arange(len(unit))  # each class is dealt out evenly
        return np.asarray(place[np.searchsorted(unit, sequence[training])] % GROUPS)
    own = np.full(variants.n_variants, -1, np.int64)
    found, at = np.unique(sites.row, return_index=True)
    own[found] = sites.position[at]  # of the first mutation
    number = np.unique(own[training], return_inverse=True)[1]
    if kind == "positions":
        return np.asarray(number % GROUPS)
    return np.asarray(number * GROUPS // (int(number.max(initial=0)) + 1))
