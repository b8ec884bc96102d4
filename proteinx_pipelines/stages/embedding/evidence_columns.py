"""`structure` and `alignment`: columns of a variant from the sites of its mutations.

Each mutation is described by the structure or the alignment at its site; rows of several mutations get sums or means,
the wild type zeros. Unknown sites count as average ones.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadEvidence, FlagError
from proteinx_pipelines.evidence.structure_sites import COLUMNS
from proteinx_pipelines.evidence.values import MutationsAt, burial, has, log_odds, standardised, summed
from proteinx_pipelines.records import Evidence, VariantTable
from proteinx_pipelines.scales import scale_table
from proteinx_pipelines.stages.embedding.onehot import PADDING

_NEEDS = {"structure": "structure", "alignment": "preferences"}
"""Representation -> the array that it is made from."""


def evidence_columns(
    name: str, variants: VariantTable, tokens: np.ndarray, templates: np.ndarray, evidence: Evidence | None
) -> np.ndarray:
    """float32 [N, D] of `structure` (D = 23) or `alignment` (D = 7).

    `structure`: means of the columns of `evidence.structure_sites` over the mutations; burial times the change of each
    of the eight scales, summed; the number of mutations. `alignment`: log-odds, log frequencies of the new and of the
    old residue, summed; means of entropy, gaps and depth; the number of mutations.

    Args:
        name: `structure` or `alignment`.
        variants: N rows.
        tokens: uint8 [N, L] of `onehot.residue_tokens`.
        templates: uint8 [N, L], each row's template.
        evidence: of the templates.

    Raises:
        FlagError: no file was given. BadEvidence: the file given is not of these templates.
    """
    if evidence is None or not evidence.info[name]:
        raise FlagError(
            [
                (
                    f"`embedding.name` {name} needs `data.{name}`, or one attached to the source with "
                    f"`proteinx db attach NAME --{name} FILE`; neither is there"
                )
            ]
        )
    if not has(evidence, _NEEDS[name]):
        raise BadEvidence(
            f"No {name} given fits the templates, so the representation {name!r} cannot be made: "
            + " ".join(evidence.info["warnings"])
        )
    at, n = _mutations(variants, tokens, templates, evidence), len(tokens)
    counts = np.bincount(at.row, minlength=n)[:, None].astype(np.float64)
    share = np.maximum(counts, 1)
    if name == "structure":
        sites = standardised(evidence.arrays["structure"])
        scales = np.vstack([scale_table(), np.zeros(8)])
        change = burial(sites, tuple(COLUMNS))[at.template, at.position][:, None] * (
            scales[at.new] - scales[at.old]
        )
        described = summed(at.row, sites[at.template, at.position], n) / share
        return np.hstack([described, summed(at.row, change, n), counts]).astype(np.float32)
    preferences = evidence.arrays["preferences"]
    logs = np.nan_to_num(preferences[at.template, at.position].astype(np.float64))
    rows, last = np.arange(len(logs)), logs.shape[1] - 1
    each = [
        log_odds(preferences, at),
        logs[rows, np.minimum(at.new, last)],
        logs[rows, np.minimum(at.old, last)],
    ]
    conserved = standardised(evidence.arrays["conservation"])[at.template, at.position]
    described = summed(at.row, conserved, n) / share
    return np.hstack([summed(at.row, np.column_stack(each), n), described, counts]).astype(np.float32)


def _mutations(
    variants: VariantTable, tokens: np.ndarray, templates: np.ndarray, evidence: Evidence
) -> MutationsAt:
    names = pa.array(list(evidence.sources), pa.string())
    source = pc.index_in(variants.rows.column("source").cast(pa.string()), value_set=names).to_numpy()
    length = max(array.shape[1] for array in evidence.arrays.values())
    row, position = np.nonzero((tokens != templates) & (tokens < PADDING) & (templates < PADDING))
    kept = position < length
    row, position = row[kept], position[kept]
    return MutationsAt(
        row, source[row].astype(np.int64), position, templates[row, position].astype(np.int64),
        tokens[row, position].astype(np.int64),
    )  # fmt: skip
