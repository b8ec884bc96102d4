"""Features of mutations for tree models: old and new residue, their differences, and the surroundings.

Features do not depend on measurements, so nothing is fitted. Rows of several mutations get the mean over them, and
their number.
"""

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.evidence.values import MutationsAt, summed
from proteinx_pipelines.stages.train.amino_acids import properties
from proteinx_pipelines.stages.train.evidence_sites import EvidenceSites
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.sites import window_features

_NEIGHBOURS = (-4, -3, -2, -1, 1, 2, 3, 4)
_N_NEIGHBOUR_PROPERTIES = 3
"""Hydropathy, volume and charge of each neighbour."""
_DECIMALS = 6
"""Digits that features keep. Processors differ in the last digits of an exponential, by which trees would split: a
column that should be constant is nothing else, and the same data gave other trees on another kind of processor."""


def substitution_features(mutations: MutationList, templates: np.ndarray) -> np.ndarray:
    """float32 [n, 75]: one row of numbers for each variant.

    Columns: number of mutations; nine properties of the old and of the new residue, their differences, and the
    sizes of the first three; BLOSUM62; `sites.window_features`; place in the template as a fraction and as a
    number; three properties of the four neighbours on each side.

    Args:
        mutations: of n rows.
        templates: uint8 [T, L] tokens, padding at the ends only.
    """
    values, scores = properties(), blosum62().astype(np.float64)
    tables = [_site_table(line[line < len(values)].astype(np.int64)) for line in templates]
    lengths = np.array([len(table) for table in tables])
    old = _at(
        [line[:length, None] for line, length in zip(templates, lengths, strict=True)], mutations
    ).ravel()
    old, new = old.astype(np.int64), mutations.residue
    change = values[new] - values[old]
    columns = [
        values[old],
        values[new],
        change,
        np.abs(change[:, :3]),
        scores[old, new][:, None],
        _at(tables, mutations),
    ]
    each = np.concatenate(columns, axis=1)
    total = np.zeros((mutations.n_rows, each.shape[1]))
    np.add.at(total, mutations.row, each)
    counts = mutations.counts
    found = np.column_stack([counts, total / np.maximum(counts, 1)[:, None]])
    return _rounded(found)


def evidence_features(mutations: MutationList, sites: EvidenceSites) -> np.ndarray:
    """float32 [n, c]: features of structure and alignment, the mean over the mutations of each row."""
    old = sites.templates[mutations.template, mutations.position].astype(np.int64)
    at = MutationsAt(mutations.row, mutations.template, mutations.position, old, mutations.residue)
    each = sites.features(at)
    total = summed(mutations.row, each, mutations.n_rows)
    return _rounded(total / np.maximum(mutations.counts, 1)[:, None])


def _rounded(features: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(features, _DECIMALS) + 0.0, dtype=np.float32)  # 0.0: no negative zeros


def _at(tables: list[np.ndarray], mutations: MutationList) -> np.ndarray:
    """float64 [M, c]: row of each mutation in its template's table [L, c]."""
    found = np.empty((len(mutations.row), tables[0].shape[1]))
    for number, table in enumerate(tables):
        mine = mutations.template == number
        found[mine] = table[mutations.position[mine]]
    return found


def _site_table(template: np.ndarray) -> np.ndarray:
    """float64 [L, c]: features of each site of a template (int64 [L] tokens)."""
    length, reach = len(template), max(_NEIGHBOURS)
    here = np.arange(length)
    around = np.zeros((length + 2 * reach, _N_NEIGHBOUR_PROPERTIES))
    around[reach : reach + length] = properties()[template][:, :_N_NEIGHBOUR_PROPERTIES]
    neighbours = [around[here + reach + offset] for offset in _NEIGHBOURS]
    return np.column_stack([window_features(template), here / max(length, 1), here, *neighbours])
