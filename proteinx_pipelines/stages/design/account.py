"""Account of a batch for the report: its diversity, and what the model does not know."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.neighbours import distances

_MOST_COMPARED = 2_000


def diversity(picked: Candidates) -> dict[str, Any]:
    """Distances within a batch, and its most used positions.

    Returns:
        `mean_distance` and `least_distance` in residues (None for one variant), `mutations` (distinct ones) and
        `most_at_one_position`: proposals that change the position which most of them change.
    """
    some = picked.take(np.arange(min(picked.n, _MOST_COMPARED)))
    apart = distances(some, some)[np.triu_indices(some.n, 1)]
    pairs = picked.position * 256 + picked.residue
    return {
        "mean_distance": float(apart.mean()) if len(apart) else None,
        "least_distance": int(apart.min()) if len(apart) else None,
        "mutations": len(np.unique(pairs)),
        "most_at_one_position": int(np.bincount(picked.position).max(initial=0)),
    }


def unknown(picked: Candidates, measured: Measured, table: pa.Table) -> dict[str, Any]:
    """What the model has not seen, in the protein and in a batch.

    Args:
        picked: the proposals.
        measured: of the same source.
        table: of the proposals; its `remarks` are counted.

    Returns:
        `residues`: of the protein; `positions_never_changed`; `mutations_seen` of `mutations`, all single mutations;
        `with_remarks`: proposals that have any; `remarks`: each with its number of proposals.
    """
    length = len(picked.template)
    seen = measured.seen[:, np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)]
    own = np.array([letter in AMINO_ACIDS for letter in picked.template])
    texts = [text for text in table.column("remarks").to_pylist() if text]
    counted = Counter(part for text in texts for part in text.split("; "))
    return {
        "residues": length,
        "positions_never_changed": int((measured.seen.sum(axis=1) <= 1).sum()),
        "mutations_seen": int(seen.sum() - own.sum()),
        "mutations": int(length * len(AMINO_ACIDS) - own.sum()),
        "with_remarks": len(texts),
        "remarks": dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
    }
