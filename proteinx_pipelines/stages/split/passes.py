"""Repeated and nested cross-validation: the folds of a method again, with other draws or other validation rows.

A *pass* is one set of folds that tests every row at most once. Repeats are passes with other random folds;
inner folds are passes with the same tested rows and another part of the training rows for validation. Folds are
numbered pass by pass: fold f belongs to pass f // (folds in a pass).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.split import MAX_MODELS, SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TRAIN, VAL, Assignment
from proteinx_pipelines.stages.split.draw import sequence_keys, shuffled_ranks

_STEP = 0x9E3779B9
"""Odd, so that the seeds of 2**32 repeats are all different."""
_INNER_STREAM = 2_000_003
"""Stream of the first fold's inner folds."""


def repeated(
    method: Callable[[VariantTable, SplitFlags], Assignment], variants: VariantTable, flags: SplitFlags
) -> Assignment:
    """Assign `split.repeats` times, the first time with `split.seed` itself."""
    first = method(variants, flags)
    if flags.repeats == 1:
        return first
    seeds = [(flags.seed + k * _STEP) % 2**32 for k in range(flags.repeats)]
    others = [method(variants, flags.model_copy(update={"seed": seed})) for seed in seeds[1:]]
    again = f", and {flags.repeats - 1} more with other seeds"
    return replace(
        first,
        parts=np.hstack([first.parts, *(other.parts for other in others)]),
        rules=tuple(rule + again for rule in first.rules),
        info={**first.info, "passes": flags.repeats, "pass_kind": "repeat", "repeat_seeds": seeds},
    )


def nested(assignment: Assignment, variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Cut the training rows of every fold into `split.inner_folds` parts, each validated on in one pass.

    Raises:
        FlagError: that would be more models than anybody trains.
    """
    if flags.inner_folds is None:
        return assignment
    outer, n_inner = assignment.parts, flags.inner_folds
    if outer.shape[1] * n_inner > MAX_MODELS:
        counts = f"{outer.shape[1]} folds times {n_inner} are {outer.shape[1] * n_inner} models"
        raise FlagError([f"`split.inner_folds`: {counts}; at most {MAX_MODELS} are expected. Give fewer."])
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    passes = [outer.copy() for _ in range(n_inner)]
    for fold in range(outer.shape[1]):
        training = np.flatnonzero(outer[:, fold] == TRAIN)
        inner = shuffled_ranks(keys[training], _INNER_STREAM + fold) % n_inner
        for number, parts in enumerate(passes):
            parts[training[inner == number], fold] = VAL
    info = {**assignment.info, "passes": n_inner, "pass_kind": "inner fold"}
    return replace(assignment, parts=np.hstack(passes), info=info)
