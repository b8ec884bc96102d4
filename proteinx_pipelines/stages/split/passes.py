"""Repeated and nested cross-validation: folds of a method with further draws or further validation rows.

A *pass* is one set of folds that tests every row at most once. Repeats are passes with other random folds;
inner folds are passes with the same tested rows and another part of the training rows for validation. Folds are
numbered pass by pass: fold f belongs to pass f // (folds in a pass).

Inner folds follow the outer method: if positions or clusters are held out for the test, positions or clusters are
held out for validation. A penalty or an epoch chosen on easier rows would be biased towards those.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from proteinx_pipelines.errors import BadSplitFile, EmptySplit, FlagError
from proteinx_pipelines.flags.split import MAX_MODELS, SplitFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, VAL, Assignment
from proteinx_pipelines.stages.split.draw import sequence_keys, shuffled_ranks

_STEP = 0x9E3779B9
"""Odd, so that the seeds of 2**32 repeats are all different."""
_INNER_STREAM = 2_000_003
"""Stream of the first fold's inner folds."""
INNER_METHODS = {
    "modulo": "modulo",
    "contiguous": "contiguous",
    "by_position": "by_position",
    "leave_one_position_out": "by_position",
    "clusters": "clusters",
}
"""Inner method for methods that hold groups out; all others cut the training rows at random."""
Method = Callable[[VariantTable, SplitFlags], Assignment]


def inner_method(flags: SplitFlags) -> str:
    """Method of the inner folds: the outer one's kind, `random` where no groups are held out."""
    if flags.method == "leave_p_out" and flags.held_out == "positions":
        return "by_position"
    return INNER_METHODS.get(flags.method, "random")


def repeated(method: Method, variants: VariantTable, flags: SplitFlags) -> Assignment:
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


def nested(
    method: Method | None, assignment: Assignment, variants: VariantTable, flags: SplitFlags
) -> Assignment:
    """Cut the training rows of every fold into `split.inner_folds` parts, each validated on in one pass.

    Validation rows drawn by the method (a single `random` or `stratified` split) become training rows again; otherwise
    no pass would train on them.

    Args:
        method: function of `inner_method`; None for a file or a plugin's method.
        assignment: its parts.
        variants: N variants.
        flags: of the split.

    Raises:
        FlagError: the number of models would exceed the limit.
        BadSplitFile: the file, or a plugin's method, has validation rows of its own; leave `split.inner_folds` out.
        EmptySplit: a fold's training rows have fewer positions or clusters than inner folds; give fewer.
    """
    if flags.inner_folds is None:
        return assignment
    if method is None and (assignment.parts == VAL).any():
        whose = f"`{flags.column}` of the file" if flags.column else f"`{flags.method}`"
        raise BadSplitFile(
            f"`split.inner_folds` gives the validation rows, and {whose} has some already. "
            "Leave `split.inner_folds` out, or choose another column or method."
        )
    outer = np.where(assignment.parts == VAL, np.int8(TRAIN), assignment.parts)
    n_inner = flags.inner_folds
    if outer.shape[1] * n_inner > MAX_MODELS:
        counts = f"{outer.shape[1]} folds times {n_inner} are {outer.shape[1] * n_inner} models"
        raise FlagError([f"`split.inner_folds`: {counts}; at most {MAX_MODELS} are expected. Give fewer."])
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    passes = [outer.copy() for _ in range(n_inner)]
    for fold in range(outer.shape[1]):
        training = np.flatnonzero(outer[:, fold] == TRAIN)
        if method is not None and inner_method(flags) != "random":
            inner = _held_out(method, variants, training, flags, fold)
        else:
            place = shuffled_ranks(keys[training], _INNER_STREAM + fold) % n_inner
            inner = np.where(place[:, None] == np.arange(n_inner), VAL, TRAIN)
        for number, parts in enumerate(passes):
            parts[training, fold] = inner[:, number]
    info = {
        **assignment.info,
        "passes": n_inner,
        "pass_kind": "inner fold",
        "inner_method": inner_method(flags),
    }
    return replace(assignment, parts=np.hstack(passes), info=info)


def _held_out(
    method: Method, variants: VariantTable, training: np.ndarray, flags: SplitFlags, fold: int
) -> np.ndarray:
    """int8 [n, inner folds]: part of each training row of a fold when the method is applied to these rows alone."""
    alone = replace(variants, rows=variants.rows.take(training))
    # By rank: after every fifth position is held out, some remainders have no position left.
    changes = {"method": inner_method(flags), "folds": flags.inner_folds, "modulo_by": "rank"}
    try:
        parts = method(alone, flags.model_copy(update=changes)).parts
    except EmptySplit as error:
        raise EmptySplit(
            f"`split.inner_folds` cuts the {len(training)} training rows of fold {fold} into {flags.inner_folds} "
            f"parts as `split.method` cuts all rows; give fewer. There: {error}"
        ) from error
    return np.where(parts == TEST, np.int8(VAL), parts)
