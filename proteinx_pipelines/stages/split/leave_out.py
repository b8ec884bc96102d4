"""`leave_p_out`: every set of p variants, or p positions, is tested once by a model that has not seen it.

Variants count by their sequence, so that two names of one sequence are left out together. With positions a variant is
tested if all its mutations are in the set, is in no part if some are, and is trained on if none is. The wild type is
always trained on.

There are as many sets as ways to choose p, quickly more than anyone trains models for. Then sets are drawn: the units
are shuffled and dealt out p at a time, again and again, so that each is left out about equally often, and no set is
drawn twice. A row is tested by several sets; `info["times_tested"]` is how often every tested row is, at least, and
scoring counts each row that often (`stages.evaluate.passes`).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, count
from typing import Literal

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.flags.split import DRAWN_SETS, MAX_MODELS, SplitFlags
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, UNUSED, Assignment
from proteinx_pipelines.stages.split.draw import sequence_keys, shuffled_ranks
from proteinx_pipelines.unaligned import refuse_indels

LEAVE_P_OUT = "leave_p_out"
MOST_TIMES = 100
"""Most tests of one row that are scored; as many as there may be repeats."""
_UNITS, _DEALT = 4_000_037, 5_000_011
"""Streams: the order of the units, and the first shuffling."""
_LARGEST_EXACT = 2**53
"""Numbers of sets beyond this are not written as a number: JSON readers would round it."""
_SHOWN = 5
_TRIES = 10
"""Sets tried for each one wanted."""


@dataclass(frozen=True)
class _Units:
    """What is left out p at a time: M pairs of row and unit."""

    row: np.ndarray
    """int64 [M]."""
    unit: np.ndarray
    """int64 [M], from 0 in an order of the seed's."""
    n_rows: int
    n: int

    def parts(self, left_out: tuple[int, ...]) -> np.ndarray:
        """int8 [N]: part of each row when these units are left out."""
        chosen = np.zeros(self.n, bool)
        chosen[list(left_out)] = True
        of_row = np.bincount(self.row, minlength=self.n_rows)
        hit = np.bincount(self.row, weights=chosen[self.unit], minlength=self.n_rows)
        return np.where(hit == 0, TRAIN, np.where(hit == of_row, TEST, UNUSED)).astype(np.int8)


def split_leaving_out(variants: VariantTable, flags: SplitFlags) -> Assignment:
    """Leave out every set of `split.p` variants or positions, or `split.sets` drawn ones.

    Raises:
        EmptySplit: there are not more than p of them, or no set holds all mutations of a variant.
    """
    units = _units_of(variants, flags)
    if units.n <= flags.p:
        raise EmptySplit(
            f"`split.p` leaves out {flags.p} {_noun(flags)} at a time, and the {variants.n_variants} variants have "
            f"{units.n}. Set `split.p` to at most {max(1, units.n - 1)}, or select more variants."
        )
    possible = n_sets(units.n, flags.p)
    wanted = _wanted(flags, possible)
    is_all = possible is not None and wanted >= possible
    candidates = combinations(range(units.n), flags.p) if is_all else _drawn(units.n, flags.p, wanted)
    parts = _tested_by(candidates, units, wanted)
    if not parts:
        raise EmptySplit(
            f"No set of {flags.p} {_noun(flags)} that was tried holds all mutations of a variant. Raise `split.p`, "
            "select variants with fewer mutations (`data.mut_num`), or set `split.held_out` to variants."
        )
    matrix = np.stack(parts, axis=1)
    tests = (matrix == TEST).sum(axis=1)
    how = "every set" if is_all else f"{len(parts)} drawn sets (seed {flags.seed})"
    return Assignment(
        parts=matrix,
        rule=(np.bincount(units.row, minlength=units.n_rows) == 0).astype(np.int64),
        rules=(f"{how} of {flags.p} {_noun(flags)} left out", "the wild type, which is never left out"),
        advice="Set `split.p` lower, or select more variants.",
        info={
            "held_out": flags.held_out,
            "p": flags.p,
            "units": units.n,
            "sets": len(parts),
            "sets_possible": possible,
            "sets_drawn": not is_all,
            "sets_without_variants": possible - len(parts) if is_all and possible is not None else 0,
            "times_tested": min(MOST_TIMES, int(tests[tests > 0].min())),
        },
    )


def broken_sets(split: Split, variants: VariantTable) -> list[str]:
    """Problems of a split that says that it leaves out different sets of p: one sentence each, none if it does."""
    p = split.info.get("p")
    held_out: Literal["variants", "positions"] = (
        "positions" if split.info.get("held_out") == "positions" else "variants"
    )
    if split.info.get("method") != LEAVE_P_OUT or not isinstance(p, int):
        return []
    names = _units_of(variants, SplitFlags(method=LEAVE_P_OUT, held_out=held_out))
    sets = [frozenset(names.unit[np.isin(names.row, fold.test)].tolist()) for fold in split.folds]
    wrong = [
        f"{len(left_out)} {held_out} are tested in fold {fold}, and `split.p` is {p}."
        for fold, left_out in enumerate(sets)
        if len(left_out) > p or (held_out == "variants" and len(left_out) < p)
    ]
    n_passes = int(split.info.get("passes", 1))
    different = len(set(sets)) * n_passes
    if held_out == "variants" and different != len(sets):
        wrong.append(f"The {len(sets) // n_passes} sets left out are {len(set(sets))} different ones.")
    return wrong[:_SHOWN]


def n_sets(n: int, p: int) -> int | None:
    """Number of ways to choose p of n; None if it is above 2^53."""
    total = 1
    for k in range(1, min(p, n - p) + 1):
        total = total * (n - k + 1) // k
        if total > _LARGEST_EXACT:
            return None
    return total


def _wanted(flags: SplitFlags, possible: int | None) -> int:
    """Number of sets: `split.sets`, else all if there are few enough, else `DRAWN_SETS`."""
    total = _LARGEST_EXACT if possible is None else possible
    if flags.sets is not None:
        return min(flags.sets, total)
    most = MAX_MODELS // (flags.inner_folds or 1)
    return total if total <= most else min(DRAWN_SETS, most)


def _units_of(variants: VariantTable, flags: SplitFlags) -> _Units:
    if flags.held_out == "positions":
        refuse_indels(
            variants, "`split.held_out` 'positions' cuts positions",
            "Set it to variants, or leave such rows out with `data.where`.",
        )  # fmt: skip
        sites = changed_sites(variants)
        base = np.uint64(flags.seed * 0xD1342543DE82EF95 % 2**64)
        unit = shuffled_ranks(base + sites.position.astype(np.uint64), _UNITS)
        return _Units(sites.row, unit, variants.n_variants, int(unit.max(initial=-1)) + 1)
    mutated = np.flatnonzero(variants.column("mut_num") != 0)
    unit = shuffled_ranks(sequence_keys(variants.rows.column("sequence"), flags.seed)[mutated], _UNITS)
    return _Units(mutated, unit, variants.n_variants, int(unit.max(initial=-1)) + 1)


def _tested_by(candidates: Iterator[tuple[int, ...]], units: _Units, wanted: int) -> list[np.ndarray]:
    """Parts of the first `wanted` sets that test a row."""
    found: list[np.ndarray] = []
    for left_out in candidates:
        parts = units.parts(left_out)
        if (parts == TEST).any():
            found.append(parts)
        if len(found) == wanted:
            break
    return found


def _drawn(n: int, p: int, wanted: int) -> Iterator[tuple[int, ...]]:
    """Different sets in which the units occur about equally often; up to `_TRIES` times `wanted`, and some more."""
    units, waiting = _shuffled(n), deque[int]()
    seen: set[tuple[int, ...]] = set()
    for _ in range(_TRIES * wanted + MAX_MODELS):
        taken: set[int] = set()
        again: list[int] = []  # a unit that the next shuffling deals out once more: it waits for the next set
        while len(taken) < p:
            unit = waiting.popleft() if waiting else next(units)
            (again.append if unit in taken else taken.add)(unit)
        waiting.extendleft(reversed(again))
        left_out = tuple(sorted(taken))
        if left_out not in seen:
            seen.add(left_out)
            yield left_out


def _shuffled(n: int) -> Iterator[int]:
    """The numbers below n without end, shuffled anew each time round."""
    numbers = np.arange(n, dtype=np.uint64)
    for turn in count():
        yield from np.argsort(shuffled_ranks(numbers, _DEALT + turn)).tolist()


def _noun(flags: SplitFlags) -> str:
    one = flags.held_out.removesuffix("s")
    return one if flags.p == 1 else flags.held_out
