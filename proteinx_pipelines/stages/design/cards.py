"""Model card: training data, held-out score, limits and citations of an exported model."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pages.report_words import conclusion, title_of
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.design.intervals import Intervals

_DISTRIBUTIONS = ("proteinx-infra", "numpy", "scipy", "scikit-learn", "torch", "fair-esm", "safetensors")

_MADE_OF = {"rows": "this one has all rows", "folds": "this one is their mean"}


def model_card(
    variants: VariantTable, flags: ExperimentFlags, report: Mapping[str, Any], intervals: Intervals
) -> dict[str, Any]:
    """Model card as plain JSON. Contains no time and no path, so the same experiment gives the same card."""
    target = variants.column("target").astype(np.float64)
    known = target[np.isfinite(target)]
    positions = "; ".join(
        f"{name}: {len(template)} residues" for name, template in sorted(variants.templates.items())
    )
    promised = (
        f"95 % intervals held 95 % of {intervals.n:,} held-out values ({intervals.split.rstrip('.')}); other kinds of "
        "variants may be missed more often"
        if intervals.n
        else "no held-out prediction: the intervals promise nothing"
    )
    return {
        "title": title_of(report),
        "judged": f"{conclusion(report)} That score is of models of the training rows alone; "
        f"{_MADE_OF[flags.design.final]}.",
        "trained_on": f"{len(known):,} labelled variants; targets from {known.min():.4g} to {known.max():.4g}",
        "proteins": positions,
        "model": _model(flags, len(report["split"]["sizes"])),
        "representation": " + ".join((flags.embedding.name, *flags.embedding.also)),
        "intervals": promised,
        "limits": [
            "positions and residues that were never measured are extrapolations, and said to be",
            "a value beyond the highest label is said, not hidden",
        ],
        "warnings": [entry["message"] for entry in report["warnings"]],
        "cite": list(report["references"]),
        "licence": "that of the data it was trained on",
        "versions": [f"{name} {found}" for name in _DISTRIBUTIONS if (found := _version(name))],
    }


def _model(flags: ExperimentFlags, n_folds: int) -> str:
    seeds, parts = effective(flags).train.seeds, [flags.model.name]
    if seeds > 1:
        parts.append(f"mean of {seeds} seeds")
    if flags.design.final == "folds" and n_folds > 1:
        parts.append(f"mean of {n_folds} folds")
    return ", ".join(parts)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
