"""Methods by mutated position: tested positions are never trained on.

The mutated positions of a template, sorted, are dealt out to k folds: `modulo` by their rank (or the position
itself) modulo k, `contiguous` in k runs, the longer ones first, `by_position` at random, and
`leave_one_position_out` one to each fold. Sources with one template share its folds.

A variant whose mutations lie in one fold is tested there. A variant whose mutations lie in several folds is in no
part of those folds (in training it would reveal a tested position; in the test it would contain positions that were
trained on) and is trained on in all others. The wild type touches no fold and is always trained on.

Source: fold_modulo_5 and fold_contiguous_5 of ProteinGym (Notin et al. 2023), single mutants. Its published
folds are `split.modulo_by = position`; since March 2024 its code deals out ranks.
"""

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import MAX_MODELS, SplitFlags
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.positions import template_codes
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, UNUSED, Assignment, distinct_rows
from proteinx_pipelines.stages.split.draw import shuffled_ranks
from proteinx_pipelines.stages.split.groups import DEFAULT_FOLDS
from proteinx_pipelines.unaligned import refuse_indels

LEAVE_ONE_OUT = "leave_one_position_out"
_SITE_STREAM = 3_000_017


_OTHER_METHODS = (
    "Take `random`, `stratified`, `n_vs_rest` or `file`, or leave such rows out with `data.where`."
)


def split_by_position(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Cut the mutated positions into folds, and test each fold once (the first only when `folds` is null).

    Raises:
        EmptySplit: there are fewer mutated positions than folds. Set `split.folds` to at most their number.
    """
    touches, n_positions = _touched_folds(variants, flags)
    n_folds, is_single = touches.shape[1], flags.folds is None and flags.method != LEAVE_ONE_OUT
    parts = np.full(touches.shape, TRAIN, np.int8)
    inside = touches.sum(axis=1) == 1
    parts[touches & inside[:, None]] = TEST
    parts[touches & ~inside[:, None]] = UNUSED
    first, rule = distinct_rows(touches)
    return Assignment(
        parts=parts[:, :1] if is_single else parts,
        rule=rule,
        rules=tuple(_rule(np.flatnonzero(touches[row]).tolist()) for row in first),
        advice=f"The variants have {n_positions} mutated positions, in {n_folds} folds. Set "
        "`split.folds` lower, select variants with fewer mutations (`data.mut_num`), or take another method.",
        info={
            "positions": n_positions,
            "position_folds": n_folds,
            "several_folds_touched": int((touches.sum(axis=1) > 1).sum()),
        },
    )


def _touched_folds(variants: VariantTable, flags: SplitFlags) -> tuple[np.ndarray, int]:
    """Folds in which each variant has mutations (bool [N, K]), and the number of mutated positions."""
    refuse_indels(variants, f"`split.method` {flags.method!r} cuts positions", _OTHER_METHODS)
    mutations = parse_mutants(variants.rows.column("mutant"))
    changing = mutations.wild_type != mutations.residue
    row, position = mutations.row[changing], mutations.position[changing]
    template = template_codes(variants)[row]
    order = np.lexsort((position, template))
    starts = np.ones(len(order), bool)
    starts[1:] = (np.diff(template[order]) != 0) | (np.diff(position[order]) != 0)
    site = np.empty(len(order), np.int64)
    site[order] = np.cumsum(starts) - 1
    site_template, site_position = template[order][starts], position[order][starts]
    n_folds = _number_of_folds(flags, len(site_position))
    if len(site_position) < n_folds:
        raise EmptySplit(
            f"`split.method` {flags.method!r} cuts the mutated positions into {n_folds} folds, and the "
            f"{variants.n_variants} variants have {len(site_position)} of them. "
            "Set `split.folds` to at most that number, or choose another `split.method`."
        )
    touches = np.zeros((variants.n_variants, n_folds), bool)
    touches[row, _folds(site_template, site_position, flags, n_folds)[site]] = True
    return touches, len(site_position)


def _number_of_folds(flags: SplitFlags, n_positions: int) -> int:
    if flags.method != LEAVE_ONE_OUT:
        return flags.folds or DEFAULT_FOLDS
    if n_positions > MAX_MODELS:
        raise EmptySplit(
            f"`split.method` {LEAVE_ONE_OUT!r} would train {n_positions} models, one for each mutated position; "
            f"at most {MAX_MODELS} are expected. Take `by_position` with `split.folds`."
        )
    return max(2, n_positions)


def _folds(template: np.ndarray, position: np.ndarray, flags: SplitFlags, n_folds: int) -> np.ndarray:
    """Fold of each mutated position (int64 [P]); positions ascend within each template."""
    if flags.method == "modulo" and flags.modulo_by == "position":
        return np.asarray(position % n_folds, np.int64)
    if flags.method == LEAVE_ONE_OUT:
        return np.arange(len(position))
    if flags.method == "by_position":
        return shuffled_ranks(_site_keys(template, position, flags.seed), _SITE_STREAM) % n_folds
    _, begin, size = np.unique(template, return_index=True, return_counts=True)
    rank = np.arange(len(position)) - np.repeat(begin, size)
    if flags.method == "modulo":
        return np.asarray(rank % n_folds, np.int64)
    short, n_longer = np.divmod(np.repeat(size, size), n_folds)
    in_longer = rank < n_longer * (short + 1)
    behind = n_longer + (rank - n_longer * (short + 1)) // np.maximum(short, 1)
    return np.asarray(np.where(in_longer, rank // (short + 1), behind))


def _site_keys(template: np.ndarray, position: np.ndarray, seed: int) -> np.ndarray:
    """Distinct random number of each site for a seed (uint64 [P])."""
    base = np.uint64(seed * 0xD1342543DE82EF95 % 2**64)
    return np.asarray(base + (template.astype(np.uint64) << np.uint64(32)) + position.astype(np.uint64))


def _rule(folds: list[int]) -> str:
    if not folds:
        return "no mutated position"
    if len(folds) == 1:
        return f"mutated positions in fold {folds[0]} only"
    return f"mutated positions in folds {', '.join(str(fold) for fold in folds)}"
