"""Entry point of the split stage: method, validation rows, folds and reasons.

Reads the variants, never their embedding. A method decides only the test rows; steps shared by all methods are here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.domain.known_names import PLUGIN_SPLIT
from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.split.assignment import PART_NAMES, TEST, TRAIN, UNUSED, VAL, Assignment
from proteinx_pipelines.stages.split.at_random import split_at_random
from proteinx_pipelines.stages.split.by_cluster import split_by_cluster
from proteinx_pipelines.stages.split.by_count import split_by_count
from proteinx_pipelines.stages.split.by_file import split_by_file
from proteinx_pipelines.stages.split.by_plugin import split_by_plugin
from proteinx_pipelines.stages.split.by_position import split_by_position
from proteinx_pipelines.stages.split.by_score import split_by_score
from proteinx_pipelines.stages.split.by_source import split_by_source
from proteinx_pipelines.stages.split.draw import sequence_keys, share, shuffled_ranks
from proteinx_pipelines.stages.split.leakage import describe_leaks, near_identical_rows, refuse_leaks
from proteinx_pipelines.stages.split.leave_out import LEAVE_P_OUT, split_leaving_out
from proteinx_pipelines.stages.split.passes import nested, repeated
from proteinx_pipelines.stages.split.reasons import reasons
from proteinx_pipelines.stages.split.stratified import split_by_strata
from proteinx_pipelines.stages.split.unscored import with_unscored

SPLIT_VERSION = "5"
"""Raise it when the same variants and flags give another split."""

METHODS: dict[str, Callable[[VariantTable, SplitFlags], Assignment]] = {
    "random": split_at_random,
    "stratified": split_by_strata,
    "n_vs_rest": split_by_count,
    "modulo": split_by_position,
    "contiguous": split_by_position,
    "by_position": split_by_position,
    "leave_one_position_out": split_by_position,
    LEAVE_P_OUT: split_leaving_out,
    "clusters": split_by_cluster,
    "low_vs_high": split_by_score,
    "by_source": split_by_source,
}
"""Functions by `split.method`, except `file`, which also reads a file, and those of plugins. A method decides the test
rows."""

DRAWS_ALL_PARTS = ("random", "stratified")
"""Methods whose single split draws all parts with the sizes of `split.fractions`, validation rows included."""
_FIRST_VALIDATION_STREAM = 2
_SHOWN_FOLDS = 5


def assign_split(
    variants: VariantTable,
    flags: SplitFlags,
    *,
    file: Path | None = None,
    own: Mapping[str, Any] | None = None,
) -> Split:
    """Put each variant into train, validation, test or no part, in one fold or in k, and refuse what leaks.

    Args:
        variants: N variants, ids unique.
        flags: the method and its choices.
        file: the file of `split.path`, where the caller has resolved it; `split.path` itself when None.
        own: `ext.split`, the flags of a plugin's method.

    Returns:
        The split that `draw_split` describes.

    Raises:
        LeakageFound: a leakage check found something that `split.allow_leakage` does not name.
        EmptySplit, BadSplitFile, BadVariants, FlagError, PluginError: from `draw_split`.
    """
    split = draw_split(variants.scored(), flags, file=file, own=own)
    refuse_leaks(split)
    return with_unscored(split, variants)


def draw_split(
    variants: VariantTable,
    flags: SplitFlags,
    *,
    file: Path | None = None,
    own: Mapping[str, Any] | None = None,
) -> Split:
    """Draw the split and record its leaks without refusing them.

    The result does not depend on the order of the rows: shuffled variants are assigned alike, each by its own
    sequence, count, positions, score or line of the file. The wild type is never tested, unless a file says so.

    Args:
        variants: N variants, ids unique.
        flags: the method and its choices. With `fractions` given, its second number is the fraction of the
            training rows that become validation rows (a single random or stratified split draws all at once).
        file: the file of `split.path`, where the caller has resolved it; `split.path` itself when None.
        own: `ext.split`, the flags of a plugin's method.

    Returns:
        Row indices of the parts of each fold, ascending, and one reason per row. `info` has `method`,
        `n_folds`, `seed`, `sizes` (per fold: train, val, test, unused), `leakage` (of
        `leakage.describe_leaks`), `near_identical` (test rows, over all folds, that differ in one residue
        from a training row), `passes` and `pass_kind` where every row is tested several times (see `passes`),
        and what the method adds.

    Raises:
        EmptySplit: training or test rows are missing in a fold; the message gives the sizes and what to
        change. BadSplitFile: `split.method` is `file` and the file cannot be used; correct it, or name another
        column. BadVariants: a method cannot place some variants. FlagError: flags do not fit the variants.
        PluginError: a plugin's method is not here, or failed.
    """
    if flags.method == "file":
        assignment = split_by_file(variants, flags, file or Path(str(flags.path)))
    elif flags.method.startswith(PLUGIN_SPLIT):
        assignment = _spare_wild_types(split_by_plugin(variants, flags, own), variants)
    else:
        assignment = _spare_wild_types(repeated(METHODS[flags.method], variants, flags), variants)
    inner = split_by_position if flags.method == LEAVE_P_OUT else METHODS.get(flags.method)
    assignment = nested(inner, assignment, variants, flags)
    draws_val = _fraction_of_training(flags) > 0
    if draws_val:
        _draw_validation(assignment.parts, variants, flags)
    sizes = [
        {name: int((column == code).sum()) for code, name in enumerate(PART_NAMES)}
        for column in assignment.parts.T
    ]
    advice = assignment.advice + (" Or draw fewer validation rows (`split.fractions`)." if draws_val else "")
    _check_sizes(sizes, flags, advice, variants.n_variants)
    split = Split(
        ids=variants.rows.column("id").combine_chunks(),
        folds=tuple(_fold(column) for column in assignment.parts.T),
        reasons=reasons(assignment, val_is_drawn=draws_val or flags.inner_folds is not None),
        info={
            "method": flags.method,
            "n_folds": len(sizes),
            "seed": flags.seed,
            "sizes": sizes,
            **assignment.info,
        },
    )
    found = {
        "leakage": describe_leaks(split, variants, flags),
        "near_identical": near_identical_rows(split, variants),
    }
    return replace(split, info={**split.info, **found})


def _spare_wild_types(assignment: Assignment, variants: VariantTable) -> Assignment:
    """Remove the wild type from test parts: its score is the reference of the others."""
    own = variants.column("mut_num") == 0
    tested = own[:, None] & (assignment.parts == TEST)
    return replace(
        assignment,
        parts=np.where(tested, np.int8(UNUSED), assignment.parts),
        rule=np.where(tested.any(axis=1), len(assignment.rules), assignment.rule),
        rules=(*assignment.rules, "the wild type, which is never tested"),
    )


def _fraction_of_training(flags: SplitFlags) -> float:
    """Fraction of the training rows to draw for validation; a single random split has drawn its own."""
    if flags.fractions is None or (flags.method in DRAWS_ALL_PARTS and flags.folds is None):
        return 0.0
    return flags.fractions[1]


def _draw_validation(parts: np.ndarray, variants: VariantTable, flags: SplitFlags) -> None:
    """Move training rows to validation, in place; every fold draws anew, and equal sequences go together."""
    keys = sequence_keys(variants.rows.column("sequence"), flags.seed)
    for fold in range(parts.shape[1]):
        training = np.flatnonzero(parts[:, fold] == TRAIN)
        place = shuffled_ranks(keys[training], _FIRST_VALIDATION_STREAM + fold)
        n_val = share(_fraction_of_training(flags), int(place.max(initial=-1)) + 1)
        parts[training[place < n_val], fold] = VAL


def _check_sizes(sizes: list[dict[str, int]], flags: SplitFlags, advice: str, n_variants: int) -> None:
    empty = [
        f"{'' if len(sizes) == 1 else f'fold {fold}: '}{part} is empty: "
        + ", ".join(f"{name} {count}" for name, count in size.items())
        for fold, size in enumerate(sizes)
        for part in ("train", "test")
        if not size[part]
    ]
    if empty:
        more = [f"... and {len(empty) - _SHOWN_FOLDS} more"] if len(empty) > _SHOWN_FOLDS else []
        lines = "\n  ".join([*empty[:_SHOWN_FOLDS], *more])
        raise EmptySplit(
            f"`split.method` {flags.method!r} on {n_variants} variants leaves nothing to train on or to test:"
            f"\n  {lines}\n{advice}"
        )


def _fold(column: np.ndarray) -> Fold:
    return Fold(*(np.flatnonzero(column == code) for code in (TRAIN, VAL, TEST)))
