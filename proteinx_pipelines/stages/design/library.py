"""Libraries: sets of variants that could be made.

    singles, combinations: everything the rules allow      doubles, recombine: built from the best, never exhaustive
    unmeasured, file: given

The caller removes variants that are already measured.
"""

import itertools
from collections.abc import Callable

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.design.candidates import Candidates, distinct, joined
from proteinx_pipelines.stages.design.rules import Rules

MOST_CANDIDATES = 3_000_000
"""Largest library: a node predicts it in minutes and holds it in memory."""

_TOO_MANY = (
    "`design.positions` and what is allowed there give {size:,} combinations, more than {most:,}. Name fewer "
    "positions, or fewer residues with `design.allowed`."
)

Rank = Callable[[Candidates], np.ndarray]
"""Ranks variants by prediction, float64 [n]; higher is better for every goal."""


def singles(source: str, template: str, rules: Rules) -> Candidates:
    """All single mutants that the rules allow, position by position."""
    position, residue = np.nonzero(rules.may)
    letters = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
    n = len(position)
    return Candidates(source, template, n, np.arange(n), position + 1, letters[residue])


def doubles(ones: Candidates, best: int, rank: Rank) -> Candidates:
    """All pairs of the best of some single mutants, at two positions."""
    chosen = ones.take(np.argsort(-rank(ones), kind="stable")[:best])
    first, second = np.triu_indices(chosen.n, 1)
    apart = chosen.position[first] != chosen.position[second]
    return _pairs(chosen, first[apart], second[apart])


def _pairs(ones: Candidates, first: np.ndarray, second: np.ndarray) -> Candidates:
    swap = ones.position[first] > ones.position[second]
    low, high = np.where(swap, second, first), np.where(swap, first, second)
    at = np.stack([low, high], axis=1).ravel()
    n = len(first)
    return Candidates(
        ones.source, ones.template, n, np.repeat(np.arange(n), 2), ones.position[at], ones.residue[at]
    )


def best_mutations(measured: Candidates, score: np.ndarray, best: int) -> tuple[np.ndarray, int]:
    """Mutations of the best measured variants.

    Args:
        measured: variants.
        score: float64 [n], higher is better; NaN where unknown.
        best: number of variants.

    Returns:
        int64 [m, 2], position and residue (ASCII), ascending; and the number of variants that they come from.
    """
    known = np.flatnonzero(np.isfinite(score) & (measured.counts > 0))
    top = measured.take(known[np.argsort(-score[known], kind="stable")[:best]])
    return np.unique(np.stack([top.position, top.residue.astype(np.int64)], axis=1), axis=0), top.n


def most_combined(n: int, most: int) -> int:
    """Most mutations of a combination of n mutations, at most `most`: all of up to so many fit in a library."""
    sizes = [_choose(n, k) for k in range(1, most + 1)]
    while sum(sizes[:most]) > MOST_CANDIDATES and most > 1:
        most -= 1
    return most


def recombine(source: str, template: str, mutations: np.ndarray, most: int) -> Candidates:
    """Combinations of up to `most` mutations.

    Args:
        source: name of the source.
        template: its sequence.
        mutations: int64 [m, 2], of `best_mutations`.
        most: of `most_combined`.
    """
    n = len(mutations)
    pieces = []
    for k in range(1, most + 1):
        chosen = np.array(list(itertools.combinations(range(n), k)), np.int64).reshape(-1, k)
        apart = np.ones(len(chosen), bool)
        for a, b in itertools.combinations(range(k), 2):
            apart &= mutations[chosen[:, a], 0] != mutations[chosen[:, b], 0]
        chosen = chosen[apart]  # the mutations are sorted by position, so every row of it is
        pieces.append(
            Candidates(
                source, template, len(chosen), np.repeat(np.arange(len(chosen)), k),
                mutations[chosen.ravel(), 0], mutations[chosen.ravel(), 1].astype(np.uint8),
            )
        )  # fmt: skip
    return joined(pieces)


def _choose(n: int, k: int) -> int:
    found = 1
    for step in range(k):
        found = found * (n - step) // (step + 1)
    return found


def combinations(source: str, template: str, rules: Rules) -> Candidates:
    """All combinations at the positions of the rules; the template's own residue is one of the choices.

    Raises:
        FlagError: they would be more than `MOST_CANDIDATES`.
    """
    positions = rules.positions()
    if not len(positions):
        none = np.zeros(0, np.int64)
        return Candidates(source, template, 0, none, none, none.astype(np.uint8))
    choices = [np.concatenate([[0], rules.residues_at(int(position))]) for position in positions]
    size = int(np.prod([len(each) for each in choices], dtype=np.float64))
    if size > MOST_CANDIDATES:
        raise FlagError([_TOO_MANY.format(size=size, most=MOST_CANDIDATES)])
    grid = (
        np.stack(np.meshgrid(*choices, indexing="ij"), axis=-1).reshape(-1, len(positions)).astype(np.uint8)
    )
    grid = grid[((grid > 0).sum(axis=1) > 0) & ((grid > 0).sum(axis=1) <= rules.most)]
    row, column = np.nonzero(grid)
    return Candidates(source, template, len(grid), row, positions[column], grid[row, column])


def with_mutations(candidates: Candidates, must: Candidates) -> Candidates:
    """Add further mutations to every variant; they override the variant's own at the same position."""
    if not len(must.position):
        return candidates
    keep = ~np.isin(candidates.position, must.position)
    n, k = candidates.n, len(must.position)
    row = np.concatenate([candidates.row[keep], np.repeat(np.arange(n), k)])
    position = np.concatenate([candidates.position[keep], np.tile(must.position, n)])
    residue = np.concatenate([candidates.residue[keep], np.tile(must.residue, n)])
    order = np.lexsort((position, row))
    return distinct(
        Candidates(candidates.source, candidates.template, n, row[order], position[order], residue[order])
    )
