"""Table of predicted variants: intervals, probabilities, and mutations that the models have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.design.acquisition import p_better, utility
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.intervals import Intervals
from proteinx_pipelines.stages.design.neighbours import nearest
from proteinx_pipelines.stages.design.sources import measurements

NEAREST_UP_TO = 20_000
"""Largest table for which the nearest measured variant is computed; proposals always have it."""


@dataclass(frozen=True)
class Measured:
    """Measurements of one source, or of several of one protein."""

    candidates: Candidates
    target: np.ndarray
    """float64 [m]; NaN where a row has no score."""
    wild_type: float
    """Measured value of the template; NaN where it was not measured."""
    best: float
    """Utility of the best measured variant."""
    best_row: int
    seen: np.ndarray
    """bool [L, 256]: residue (ASCII) at a position (from 0) of a labelled variant, the template's own included."""
    highest: float
    lowest: float

    @property
    def has_wild_type(self) -> bool:
        """True if the template was measured."""
        return bool(np.isfinite(self.wild_type))


def measured_of(variants: VariantTable, sources: str | Sequence[str], goal: object) -> Measured:
    """Collect the measurements of a source, or of several of one protein and one scale.

    Raises:
        FlagError: the templates are not those of one protein.
    """
    candidates, target = measurements(variants, (sources,) if isinstance(sources, str) else sources)
    known = np.isfinite(target)
    is_template = (candidates.counts == 0) & known
    score = np.where(known, utility(target, goal), -np.inf)
    labelled = candidates.take(np.flatnonzero(known))
    seen = np.zeros((len(candidates.template), 256), bool)
    seen[
        np.arange(len(candidates.template)), np.frombuffer(candidates.template.encode("ascii"), np.uint8)
    ] = True
    seen[labelled.position - 1, labelled.residue] = True
    return Measured(
        candidates, target, float(target[is_template].mean()) if is_template.any() else float("nan"),
        float(score.max()), int(score.argmax()), seen, float(np.nanmax(target)), float(np.nanmin(target)),
    )  # fmt: skip


def predictions_table(
    candidates: Candidates, mean: np.ndarray, deviation: np.ndarray, measured: Measured, intervals: Intervals,
    *, wild_type: float, offset: int, goal: object, sequences: bool = True,
) -> pa.Table:  # fmt: skip
    """Build the table of predictions, one row per variant.

    Args:
        candidates: n variants.
        mean: float64 [n].
        deviation: float64 [n], calibrated.
        measured: of the same source.
        intervals: for the ends of the 95 % interval.
        wild_type: value that a variant has to beat: the measured one of the template, else the predicted one.
        offset: position in the user's numbering minus position in the template.
        goal: `design.goal`.
        sequences: whether whole sequences are listed.

    Returns:
        Columns `mutant`, `sequence`, `prediction`, `deviation`, `low`, `high`, `p_better_than_wild_type`,
        `p_better_than_best`, `mut_num`, `new_positions`, `nearest`, `remarks`.
    """
    low, high = intervals.bounds(mean, deviation)
    new_places, new_residues = _unseen(candidates, measured.seen)
    columns: dict[str, object] = {"mutant": candidates.names(offset)}
    if sequences:
        columns["sequence"] = candidates.sequences()
    columns |= {
        "prediction": mean, "deviation": deviation, "low": low, "high": high,
        "p_better_than_wild_type": p_better(mean, deviation, float(utility(np.array([wild_type]), goal)[0]), goal),
        "p_better_than_best": p_better(mean, deviation, measured.best, goal),
        "mut_num": pa.array(candidates.counts, pa.int32()),
        "new_positions": pa.array(new_places, pa.int32()),
        "nearest": _nearest_names(candidates, measured, offset),
        "remarks": _remarks(candidates, mean, measured, new_places, new_residues),
    }  # fmt: skip
    return pa.table(columns)


def _unseen(candidates: Candidates, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count mutations of each variant that no model has seen.

    Returns:
        int64 [n] twice: mutations at positions that no labelled variant changes, and mutations to a residue that is new
        at a position that some labelled variant changes.
    """
    changed = seen.sum(axis=1) > 1
    place = ~changed[candidates.position - 1]
    residue = ~seen[candidates.position - 1, candidates.residue] & ~place
    return tuple(np.bincount(candidates.row[which], minlength=candidates.n) for which in (place, residue))  # type: ignore[return-value]


def _nearest_names(candidates: Candidates, measured: Measured, offset: int) -> pa.Array:
    labelled = np.flatnonzero(np.isfinite(measured.target))
    if candidates.n > NEAREST_UP_TO or not len(labelled):
        return pa.nulls(candidates.n, pa.string())
    known = measured.candidates.take(labelled)
    found = nearest(candidates, known)
    shown = np.unique(found.row)
    names = dict(zip(shown.tolist(), known.take(shown).mutants(offset), strict=True))
    scores = measured.target[labelled]
    return pa.array(
        [
            f"{names[row]} ({scores[row]:.3g}; {distance} apart)"
            for row, distance in zip(found.row.tolist(), found.distance.tolist(), strict=True)
        ]
    )


def _remarks(
    candidates: Candidates, mean: np.ndarray, measured: Measured, places: np.ndarray, residues: np.ndarray
) -> pa.Array:
    """Reasons to doubt each prediction, in words; empty where there are none (dictionary array: few distinct texts)."""
    most = int(measured.candidates.counts.max(initial=0))
    code = (
        (places > 0).astype(np.int64)
        | ((residues > 0).astype(np.int64) << 1)
        | ((mean > measured.highest).astype(np.int64) << 2)
        | ((mean < measured.lowest).astype(np.int64) << 3)
        | ((candidates.counts > most).astype(np.int64) << 4)
    )
    words = (
        "changes a position that no measured variant changes", "has a residue that was not measured at its position",
        "beyond the highest label", "beyond the lowest label", f"more mutations than any measured variant ({most})",
    )  # fmt: skip
    texts = ["; ".join(word for bit, word in enumerate(words) if value >> bit & 1) for value in range(32)]
    return pa.DictionaryArray.from_arrays(pa.array(code, pa.int32()), pa.array(texts)).cast(pa.string())


def reasons(
    proposals: Candidates, mean: Sequence[float], deviation: Sequence[float], better: Sequence[float],
    measured: Measured, offset: int,
) -> list[str]:  # fmt: skip
    """One sentence per proposal: its prediction, the reference it beats, and the measurements of its mutations."""
    single = measured.candidates.counts == 1
    own = np.flatnonzero(single & np.isfinite(measured.target))
    known = {
        (int(position), int(residue)): float(value)
        for position, residue, value in zip(
            measured.candidates.take(own).position,
            measured.candidates.take(own).residue,
            measured.target[own],
            strict=True,
        )
    }
    starts = np.concatenate([[0], np.cumsum(proposals.counts)])
    found = []
    for k in range(proposals.n):
        parts = []
        for at in range(starts[k], starts[k + 1]):
            position, residue = int(proposals.position[at]), int(proposals.residue[at])
            name = f"{proposals.template[position - 1]}{position + offset}{chr(residue)}"
            if (position, residue) in known:
                parts.append(f"{name} alone measured {known[position, residue]:.3g}")
            elif measured.seen[position - 1, residue]:
                parts.append(f"{name} measured with others")
            elif measured.seen[position - 1].sum() > 1:
                parts.append(f"{name} not measured, other residues there were")
            else:
                parts.append(f"position {position + offset} never measured")
        shown = f"predicted {mean[k]:.3g} ± {deviation[k]:.2g}, {better[k]:.0%} to beat the wild type"
        found.append("; ".join([shown, *parts]))
    return found
