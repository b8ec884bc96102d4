"""Effects of substitutions by a prior and a structure: a network learned across proteins with structures.

It reads the effect that the prior expects from the sequence, what is exchanged, and how the site lies in the structure;
no measurement of the protein. Its weights are part of a prior's file (`structure_effects_learning`). Where a model uses
the structure, the effects take the place of those from the sequence alone (`evidence_sites.sites_of`).
"""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.evidence.structure_sites import COLUMNS, PACKING
from proteinx_pipelines.evidence.values import has
from proteinx_pipelines.records import AMINO_ACIDS, Evidence
from proteinx_pipelines.stages.train import site_network
from proteinx_pipelines.stages.train.prior_features import changes_of, exchange_features
from proteinx_pipelines.stages.train.site_network import SiteNetwork

VERSION = "1"
"""Part of a prior's file; raise it when the features or the form of the network change."""
_N = len(AMINO_ACIDS)
_AS_THEY_ARE = ("helix", "strand")
_UNUSED = ("confidence",)
"""Columns left out: a predictor's confidence and the B-factor of an experiment are not alike."""
_ABSOLUTE = ("exposed", "neighbours_10")
"""Columns that are given in their own unit as well: a small protein has no core."""
_MOST = 3.0
"""Largest size of a standardised column."""
N_COMPARED = len(COLUMNS) + len(PACKING) - len(_UNUSED)
"""Columns of `site_features` by which sites are compared, the first ones."""
N_SITE_FEATURES = N_COMPARED + len(_ABSOLUTE) + 1
"""Columns of `site_features`."""


@dataclass(frozen=True)
class ProteinSites:
    """The sites of one protein in its structure."""

    features: np.ndarray
    """float64 [L, `N_SITE_FEATURES`], `site_features`."""
    coordinates: np.ndarray
    """float64 [L, 3]: C-alpha atoms, angstrom; NaN where unknown."""


def protein_sites(evidence: Evidence, source: int, length: int) -> ProteinSites | None:
    """Sites of one source's structure among an embedding's evidence; None if there is none that can be read.

    Args:
        evidence: of an embedding; one of an earlier version has no `packing`.
        source: number of the source.
        length: of its template.
    """
    if not (has(evidence, "structure") and has(evidence, "packing")):
        return None
    structure, packing, place = (
        evidence.arrays[name][source, :length] for name in ("structure", "packing", "coordinates")
    )
    if not np.isfinite(structure).any():
        return None
    return ProteinSites(site_features(structure, packing), place.astype(np.float64))


def site_features(structure: np.ndarray, packing: np.ndarray) -> np.ndarray:
    """float64 [L, 18]: the sites of one protein, 0 where they are unknown; the last column is 1 where they are known.

    Args:
        structure: float [L, columns of `COLUMNS`], NaN where unknown.
        packing: float [L, columns of `PACKING`], NaN where unknown.
    """
    names = (*COLUMNS, *PACKING)
    values = np.concatenate([structure, packing], axis=1).astype(np.float64)
    known = np.asarray(np.isfinite(values).all(axis=1))
    values = np.where(known[:, None], values, 0.0)
    columns = []
    for name, column in zip(names, values.T, strict=True):
        if name in _AS_THEY_ARE:
            columns.append(column)
        elif name not in _UNUSED:
            here = column[known] if known.any() else column
            columns.append(np.clip((column - here.mean()) / (here.std() + 1e-6), -_MOST, _MOST))
    columns += [values[:, names.index(name)] for name in _ABSOLUTE]
    return np.asarray(np.column_stack([*columns, np.ones(len(known))]) * known[:, None])


def described(
    effects: np.ndarray, template: np.ndarray, sites: np.ndarray, position: np.ndarray, new: np.ndarray
) -> np.ndarray:
    """float32 [m, `n_features()`]: features of m substitutions of one template.

    Args:
        effects: float [L, 20], of the prior, finite.
        template: int64 [L], tokens of the twenty residues.
        sites: float64 [L, 18], `site_features`.
        position: int64 [m], from 0.
        new: int64 [m], tokens of the new residues.
    """
    old, each = template[position], np.eye(_N)
    columns = [
        effects[position, new][:, None],
        exchange_features(old, new),
        sites[position],
        each[old],
        each[new],
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def n_features() -> int:
    """Number of features of the network."""
    one = np.zeros(1, np.int64)
    sites = site_features(np.zeros((1, len(COLUMNS))), np.zeros((1, len(PACKING))))
    return int(described(np.zeros((1, _N)), one, sites, one, one).shape[1])


def n_weights() -> int:
    """Numbers of one network in a prior's file."""
    return site_network.n_weights(n_features())


def predicted(line: np.ndarray, effects: np.ndarray, template: str, sites: np.ndarray) -> np.ndarray:
    """Effects of every substitution of a template, float32 [L, 20], standardised over all of them.

    Args:
        line: float [`n_weights()`], a network learned without the protein's relatives.
        effects: float [L, 20], of the same prior, standardised; NaN at letters outside the twenty, and here, too.
        template: sequence.
        sites: float64 [L, 18], `site_features`.
    """
    (tokens, real), length = changes_of(template), len(template)
    position, new = np.repeat(np.arange(length), _N), np.tile(np.arange(_N), length)
    features = described(np.nan_to_num(effects), tokens, sites, position, new)
    values = SiteNetwork.of_line(line, n_features()).values(features).reshape(length, _N).astype(np.float64)
    if real.any():
        values = (values - values[real].mean()) / max(float(values[real].std()), 1e-9)
    return np.where(real.any(axis=1, keepdims=True), values, np.nan).astype(np.float32)
