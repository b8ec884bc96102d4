"""`modulo` and `contiguous`: positions that are tested are never trained on.

The mutated positions of a template, sorted, are dealt out to k folds: `modulo` by their rank (or the position
itself) modulo k, `contiguous` in k runs, the longer ones first. Sources with one template share its folds.

A variant whose mutations lie in one fold is tested there. One whose mutations lie in several folds is trained
on where none of them is tested, and is in no part of the folds it touches: trained on it would show the
tested position, tested it would be judged at positions that were trained on. The wild type touches no fold
and is always trained on.

Source: fold_modulo_5 and fold_contiguous_5 of ProteinGym (Notin et al. 2023), single mutants. Its published
folds are `split.modulo_by = position`; since March 2024 its code deals out ranks.
"""

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, UNUSED, Assignment, distinct_rows

DEFAULT_FOLDS = 5
"""Folds that are cut when `split.folds` is null; the first is then the test part."""


def split_by_position(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Cut the mutated positions into folds, and test each fold once (the first only when `folds` is null).

    Raises:
        EmptySplit: there are fewer mutated positions than folds. Set `split.folds` to at most their number.
    """
    n_folds = flags.folds or DEFAULT_FOLDS
    touches, n_positions = _touched_folds(variants, flags, n_folds)
    parts = np.full(touches.shape, TRAIN, np.int8)
    inside = touches.sum(axis=1) == 1
    parts[touches & inside[:, None]] = TEST
    parts[touches & ~inside[:, None]] = UNUSED
    first, rule = distinct_rows(touches)
    return Assignment(
        parts=parts if flags.folds else parts[:, :1],
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


def _touched_folds(variants: VariantTable, flags: SplitFlags, n_folds: int) -> tuple[np.ndarray, int]:
    """Which folds each variant has mutations in (bool [N, K]), and how many mutated positions there are."""
    mutations = parse_mutants(variants.rows.column("mutant"))
    changing = mutations.wild_type != mutations.residue
    row, position = mutations.row[changing], mutations.position[changing]
    template = _template_codes(variants)[row]
    order = np.lexsort((position, template))
    starts = np.ones(len(order), bool)
    starts[1:] = (np.diff(template[order]) != 0) | (np.diff(position[order]) != 0)
    site = np.empty(len(order), np.int64)
    site[order] = np.cumsum(starts) - 1
    site_template, site_position = template[order][starts], position[order][starts]
    if len(site_position) < n_folds:
        raise EmptySplit(
            f"`split.method` {flags.method!r} cuts the mutated positions into {n_folds} folds, and the "
            f"{variants.n_variants} variants have {len(site_position)} of them. "
            "Set `split.folds` to at most that number, or choose another `split.method`."
        )
    touches = np.zeros((variants.n_variants, n_folds), bool)
    touches[row, _folds(site_template, site_position, flags, n_folds)[site]] = True
    return touches, len(site_position)


def _template_codes(variants: VariantTable) -> np.ndarray:
    """A number for each row's template (int64 [N]); sources with one template share it."""
    codes = {template: code for code, template in enumerate(sorted(set(variants.templates.values())))}
    source = variants.rows.column("source").combine_chunks().dictionary_encode()
    names = source.dictionary.to_pylist()
    by_source = np.array([codes[variants.templates[name]] for name in names], np.int64)
    return np.asarray(by_source[source.indices.to_numpy()])


def _folds(template: np.ndarray, position: np.ndarray, flags: SplitFlags, n_folds: int) -> np.ndarray:
    """The fold of each mutated position (int64 [P]); positions ascend within each template."""
    if flags.method == "modulo" and flags.modulo_by == "position":
        return np.asarray(position % n_folds, np.int64)
    _, begin, size = np.unique(template, return_index=True, return_counts=True)
    rank = np.arange(len(position)) - np.repeat(begin, size)
    if flags.method == "modulo":
        return np.asarray(rank % n_folds, np.int64)
    short, n_longer = np.divmod(np.repeat(size, size), n_folds)
    in_longer = rank < n_longer * (short + 1)
    behind = n_longer + (rank - n_longer * (short + 1)) // np.maximum(short, 1)
    return np.asarray(np.where(in_longer, rank // (short + 1), behind))


def _rule(folds: list[int]) -> str:
    if not folds:
        return "no mutated position"
    if len(folds) == 1:
        return f"mutated positions in fold {folds[0]} only"
    return f"mutated positions in folds {', '.join(str(fold) for fold in folds)}"
