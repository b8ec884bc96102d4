"""Position-by-residue maps: measured values, predictions, and their difference."""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.mutants import WILD_TYPE, parse_mutants
from proteinx_pipelines.pages.figures.figure import Figure
from proteinx_pipelines.pages.figures.mutation_map import RESIDUES, Panel
from proteinx_pipelines.pages.figures.mutation_map import mutation_map as drawn
from proteinx_pipelines.records import AMINO_ACIDS, Evidence, VariantTable
from proteinx_pipelines.stages.evaluate.evidence_tracks import evidence_tracks
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.singles import Singles

MAX_POSITIONS = 1_200
"""Most mutated positions of a map; data with more has no map."""
MIN_SINGLES = 30
"""Measured single mutants from which cells hold these only, not means over all variants with the mutation."""
_INDEX = np.full(256, -1)
_INDEX[np.frombuffer(RESIDUES.encode(), np.uint8)] = np.arange(len(RESIDUES))


@dataclass(frozen=True)
class Sites:
    """Subject of the map: one source and its P mutated positions."""

    source: str
    positions: np.ndarray
    """int64 [P], from 1 in the template, ascending."""
    singles: bool
    """True if cells are single mutants, not means over all variants with the mutation."""


def mutated_sites(variants: VariantTable) -> Sites | None:
    """Mutated positions of the source with the most variants; None if there are none, or too many."""
    names, counts = np.unique(variants.column("source").astype(str), return_counts=True)
    source = str(names[counts.argmax()])
    own = variants.column("source") == source
    singles = int((own & (variants.column("mut_num") == 1)).sum()) >= MIN_SINGLES
    found = parse_mutants(variants.rows.column("mutant"))
    keep = (found.wild_type != found.residue) & own[found.row]
    positions = np.unique(found.position[keep])
    return Sites(source, positions, singles) if 0 < len(positions) <= MAX_POSITIONS else None


def map_figure(
    variants: VariantTable, sites: Sites, test: Predictions, singles: Singles | None, *, in_target_units: bool,
    evidence: Evidence | None = None,
) -> Figure:  # fmt: skip
    """Build the panels that have data, below tracks of structure and alignment where they are known.

    Predicted cells of tested single mutants are the held-out predictions. All other cells are predictions of every
    single mutant if the models can predict new sequences, else missing.
    """
    target = variants.column("target").astype(np.float64)
    tested = np.full(variants.n_variants, np.nan)
    tested[test.rows] = test.prediction
    measured, out_of_fold = _cells(variants, sites, target), _cells(variants, sites, tested)
    template, offset = variants.templates[sites.source], variants.offsets.get(sites.source, 0)
    predicted = out_of_fold
    if singles is not None:
        order = [AMINO_ACIDS.index(letter) for letter in RESIDUES]
        predicted = np.where(np.isfinite(out_of_fold) & sites.singles, out_of_fold, singles.prediction[order])
    reference, word = _wild_type(variants, sites, target, singles)
    unit = "target" if in_target_units else "normal score of rank"
    panels = [
        Panel("measured", measured, reference, f"target, {word} in the middle"),
        Panel("predicted", predicted, reference if in_target_units else 0.0, f"{unit}, {word} in the middle"),
    ]
    if in_target_units:
        panels.append(Panel("predicted − measured", predicted - measured, 0.0, "difference"))
    if singles is not None and singles.deviation is not None:
        deviation = singles.deviation[order]
        panels.append(Panel("deviation", deviation, float(np.median(deviation)), "standard deviation"))
    panels = [panel for panel in panels if np.isfinite(panel.values).any()]
    wild_type = _INDEX[[ord(template[at - 1]) for at in sites.positions]].tolist()
    known, all_cells = int(np.isfinite(measured).sum()), measured.size - len(sites.positions)
    filled = int(np.isfinite(predicted).sum())
    kind = "single mutants" if sites.singles else "means over variants with the mutation"
    source = "" if singles is None else " Cells that were not tested show what the trained models say."
    return drawn(
        [f"{template[at - 1]}{at + offset}" for at in sites.positions.tolist()],
        wild_type,
        panels,
        caption=(
            f"{sites.source}: {kind} at {len(sites.positions):,} positions; {known:,} of {all_cells:,} cells "
            f"measured, {filled:,} predicted.{source} The middle of the scale is {word}; dots mark the wild type."
        ),
        alternative=(
            f"Map of {len(sites.positions)} positions by 20 residues, {known} measured and {filled} predicted cells"
        ),
        tracks=evidence_tracks(evidence, sites.source, sites.positions),
    )


def _cells(variants: VariantTable, sites: Sites, values: np.ndarray) -> np.ndarray:
    """float64 [20, P]: mean of `values` (float64 [N]) of the variants with each mutation."""
    chosen = variants.column("source") == sites.source
    if sites.singles:
        chosen = chosen & (variants.column("mut_num") == 1)
    found = parse_mutants(variants.rows.column("mutant"))
    keep = (found.wild_type != found.residue) & chosen[found.row] & np.isfinite(values)[found.row]
    row, column = _INDEX[found.residue[keep]], np.searchsorted(sites.positions, found.position[keep])
    at = row * len(sites.positions) + column
    of_twenty = row >= 0
    shape = (len(RESIDUES), len(sites.positions))
    size = shape[0] * shape[1]
    total = np.bincount(at[of_twenty], weights=values[found.row[keep][of_twenty]], minlength=size)
    count = np.bincount(at[of_twenty], minlength=size)
    means = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
    return np.asarray(means.reshape(shape))


def _wild_type(
    variants: VariantTable, sites: Sites, target: np.ndarray, singles: Singles | None
) -> tuple[float, str]:
    """Centre of the colour scale: the measured wild type, else the predicted one, else the median."""
    is_own = (variants.column("source") == sites.source) & (variants.column("mutant") == WILD_TYPE)
    if is_own.any():
        return float(target[is_own].mean()), "the measured wild type"
    if singles is not None and np.isfinite(singles.wild_type):
        return singles.wild_type, "the predicted wild type"
    return float(np.median(target)), "the median"
