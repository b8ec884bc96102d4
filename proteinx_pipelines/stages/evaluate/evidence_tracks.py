"""Tracks of structure and alignment for the report's map of positions."""

import numpy as np

from proteinx_pipelines.evidence.alignment_sites import COLUMNS as CONSERVATION
from proteinx_pipelines.evidence.structure_sites import COLUMNS
from proteinx_pipelines.evidence.values import has
from proteinx_pipelines.pages.figures.tracks import Track
from proteinx_pipelines.records import AMINO_ACIDS, Evidence

_RADIUS = 10


def evidence_tracks(evidence: Evidence | None, source: str, positions: np.ndarray) -> list[Track]:
    """Secondary structure and burial if a structure is used, conservation if an alignment is.

    Args:
        evidence: of the templates.
        source: of the map.
        positions: int64 [P], from 1 in the template.
    """
    if evidence is None or source not in evidence.sources:
        return []
    at, found = list(evidence.sources).index(source), []
    if has(evidence, "structure") and evidence.info["structure"].get(source, {}).get("used"):
        values = _at(evidence.arrays["structure"][at], positions)
        facts = evidence.info["structure"][source]
        named = f"{facts['kind']}, chain {facts['chain']}"
        helix, strand = (values[:, COLUMNS.index(name)] for name in ("helix", "strand"))
        words = np.where(helix > 0, "helix", np.where(strand > 0, "strand", "neither"))
        known = np.isfinite(helix)
        found.append(
            Track(
                "Secondary structure",
                [str(word) if there else "" for word, there in zip(words, known, strict=True)],
                f"tall helix, half strand, line neither ({named})",
            )
        )
        buried = values[:, COLUMNS.index(f"neighbours_{_RADIUS}")]
        found.append(Track("Burial", buried, f"residues within {_RADIUS} Å, dark is buried"))
    if has(evidence, "conservation") and evidence.info["alignment"].get(source, {}).get("used"):
        entropy = _at(evidence.arrays["conservation"][at], positions)[:, CONSERVATION.index("entropy")]
        conserved = 1 - entropy / np.log(len(AMINO_ACIDS))
        found.append(Track("Conservation", conserved, "of the alignment's column, dark is conserved"))
    return found


def _at(array: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float64 [P, c] of an array [L, c] at positions from 1; NaN beyond it."""
    inside = positions <= len(array)
    found = array[np.minimum(positions, len(array)) - 1].astype(np.float64)
    return np.asarray(np.where(inside[:, None], found, np.nan))
