"""Detailed description of a source: coverage, replicates and oddities."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.further import FurtherSummary, further_of
from proteinx_pipelines.catalog.listing import SourceDetails, show_source, source_id_of
from proteinx_pipelines.catalog.numbering import source_offsets, source_understood
from proteinx_pipelines.edits import rows_with_indels
from proteinx_pipelines.mutants import canonical_mutants, parse_mutants
from proteinx_pipelines.variant_files.sense import nucleotide_problem, odd_scores, odd_template

_SUBSTITUTIONS = 19


@dataclass(frozen=True)
class Replicates:
    """Mutants that have several rows."""

    mutants: int
    rows: int
    deviation: float | None
    """Pooled standard deviation of their scores (n - 1), in the assay's unit; None where no two were measured."""


@dataclass(frozen=True)
class Description:
    """Facts about a source to consider before training on it."""

    details: SourceDetails
    offset: int
    positions: int
    """Number of template positions changed by some row."""
    singles: int
    """Different single substitutions measured, of 19 for each residue of the template."""
    indels: int
    """Rows with insertions or deletions."""
    per_position: dict[str, int]
    """`V29`, in the numbering of its people -> rows that change it; positions that none changes are left out."""
    replicates: Replicates
    further: list[FurtherSummary]
    odd: list[str]
    understood: dict[str, Any] = field(default_factory=dict)

    @property
    def possible_singles(self) -> int:
        """Number of possible single substitutions: 19 for each residue."""
        return _SUBSTITUTIONS * self.details.summary.template_length


def describe_source(database: Path, name: str) -> Description:
    """Describe all rows of a source.

    Raises:
        UnknownSource: there is no source of this name; the message has the closest one.
    """
    details = show_source(database, name)
    with open_for_reading(database) as connection:
        source_id = source_id_of(connection, database, name)
        rows = connection.execute(
            "SELECT mutant, DMS_score FROM mutations WHERE source = ?", (source_id,)
        ).fetchall()
        further = further_of(connection, source_id)
    mutants = pa.array([row[0] for row in rows], pa.string())
    scores = np.array([np.nan if row[1] is None else float(row[1]) for row in rows], np.float64)
    table = parse_mutants(mutants)
    offset = source_offsets(database)[name]
    per_position = Counter(zip(table.position.tolist(), table.wild_type.tolist(), strict=True))
    single = (table.counts[table.row] == 1) & (table.wild_type != table.residue)
    odd = [*odd_template(details.template, np.unique(table.position).tolist()), *odd_scores(scores)]
    nucleotides = nucleotide_problem(details.template, [chr(code) for code in np.unique(table.residue)])
    return Description(
        details=details,
        offset=offset,
        positions=len({position for position, _ in per_position}),
        singles=len(set(zip(table.position[single].tolist(), table.residue[single].tolist(), strict=True))),
        indels=int(rows_with_indels(mutants).sum()),
        per_position={
            f"{chr(code)}{at + offset}": count for (at, code), count in sorted(per_position.items())
        },
        replicates=_replicates(mutants, scores),
        further=further,
        odd=[*([nucleotides] if nucleotides else []), *odd],
        understood=source_understood(database, name) or {},
    )


def _replicates(mutants: pa.Array, scores: np.ndarray) -> Replicates:
    spelled = canonical_mutants(mutants).to_pylist()
    names = [own if own is not None else text for own, text in zip(spelled, mutants.to_pylist(), strict=True)]
    _, group = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(group)
    measured = np.isfinite(scores)
    n = np.bincount(group[measured], minlength=len(counts))
    total = np.bincount(group[measured], scores[measured], minlength=len(counts))
    mean = np.divide(total, n, out=np.zeros(len(counts)), where=n > 0)
    squares = np.bincount(
        group[measured], (scores[measured] - mean[group[measured]]) ** 2, minlength=len(counts)
    )
    degrees = int(np.maximum(n - 1, 0).sum())
    deviation = float(np.sqrt(squares.sum() / degrees)) if degrees else None
    return Replicates(int((counts > 1).sum()), int(counts[counts > 1].sum()), deviation)
