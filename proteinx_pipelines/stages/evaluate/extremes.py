"""Lists of variants: best and worst predictions, measured and predicted top with their overlap, errors by position."""

from typing import Any

import numpy as np

from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.numbering import as_written
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.evaluate.predict import Predictions

TOP = 20
"""Variants of a top list."""
LISTED = 10
"""Best and worst predictions listed."""
MOST_POSITIONS = 1_200
"""Positions beyond which errors are not listed by position."""


def extreme_facts(variants: VariantTable, test: Predictions, *, in_target_units: bool) -> dict[str, Any]:
    """Lists of tested variants for the report.

    Args:
        variants: N rows.
        test: P test predictions of one pass.
        in_target_units: False for a ranking, whose errors have no meaning: `closest` and `farthest` are then empty.

    Returns:
        `top_measured`, `top_predicted` (`TOP` entries each, highest first), `shared` (number of names in both),
        `closest` and `farthest` (`LISTED` entries each, by absolute error), `positions` (`position` in the user's
        numbering, `wild_type`, `n`, `measured`, `predicted`, `error`: means over the tested variants that change it).
        An entry has `mutant` in the user's numbering, `source`, `measured`, `predicted`, `deviation` (None if the
        model has none) and `mutations`.
    """
    measured = variants.column("target").astype(np.float64)[test.rows]
    known = np.flatnonzero(np.isfinite(test.prediction))
    shown = variants.rows.select(["mutant", "source"]).take(test.rows)
    names = as_written(shown.column("mutant"), shown.column("source"), variants.offsets).to_pylist()
    sources = shown.column("source").to_pylist()
    counts = variants.column("mut_num")[test.rows]

    def entries(chosen: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "mutant": names[k], "source": str(sources[k]), "measured": float(measured[k]),
                "predicted": float(test.prediction[k]),
                "deviation": None if test.deviation is None else float(test.deviation[k]),
                "mutations": int(counts[k]),
            }
            for k in chosen.tolist()
        ]  # fmt: skip

    by_measured = known[np.argsort(-measured[known], kind="stable")][:TOP]
    by_predicted = known[np.argsort(-test.prediction[known], kind="stable")][:TOP]
    error = np.abs(test.prediction - measured)
    by_error = known[np.argsort(error[known], kind="stable")] if in_target_units else known[:0]
    return {
        "top_measured": entries(by_measured),
        "top_predicted": entries(by_predicted),
        "shared": len(set(by_measured.tolist()) & set(by_predicted.tolist())),
        "closest": entries(by_error[:LISTED]),
        "farthest": entries(by_error[::-1][:LISTED]),
        "positions": _positions(variants, test, measured),
    }


def _positions(variants: VariantTable, test: Predictions, measured: np.ndarray) -> list[dict[str, Any]]:
    """Means by position, for a single source; empty if there are several sources or too many positions."""
    if len(variants.templates) != 1 or not np.isfinite(test.prediction).all():
        return []
    found = parse_mutants(variants.rows.column("mutant").take(test.rows))
    keep = found.wild_type != found.residue
    positions, at = np.unique(found.position[keep], return_inverse=True)
    if not 0 < len(positions) <= MOST_POSITIONS:
        return []
    row, n = found.row[keep], np.bincount(at, minlength=len(positions))
    means = [
        np.bincount(at, weights=values[row], minlength=len(positions)) / n
        for values in (measured, test.prediction, np.abs(test.prediction - measured))
    ]
    source, template = next(iter(variants.templates.items()))
    offset = variants.offsets.get(source, 0)
    return [
        {
            "position": int(position) + offset, "wild_type": template[position - 1], "n": int(count),
            "measured": float(of_measured), "predicted": float(of_predicted), "error": float(of_error),
        }
        for position, count, of_measured, of_predicted, of_error in zip(positions, n, *means, strict=True)
    ]  # fmt: skip
