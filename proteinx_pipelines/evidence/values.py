"""Numbers of sites and mutations from evidence, with a value everywhere: unknown sites count as average ones."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Evidence

BURIAL = ("neighbours_8", "neighbours_10", "neighbours_14", "half_sphere_up", "contacts")
"""Columns of a structure that grow with burial; `exposed` falls."""

PRIOR = "prior"
"""Array of effects that a prior from other assays predicts, [T, L, 20]."""
PRIOR_STRUCTURE = "prior_structure"
"""Array of the effects that the prior predicts from the structure as well, [T, L, 20]; NaN where it has no model."""
PRIOR_MODES = "prior_modes"
"""Array of directions in which the effects differ between assays, [T, L, modes * 20]."""
PRIOR_EXCHANGE = "prior_exchange"
"""Array of covariances of two residues at one site, [T, 1, 20 * 20], the same for all sites."""
PRIOR_NEW_POSITIONS = "prior_new_positions"
"""Array of a network that predicts substitutions at new positions, [T, 1, weights]; NaN where there is none."""
PRIOR_NEW_POSITIONS_STRUCTURE = "prior_new_positions_by_structure"
"""The same of a network that reads the structure as well."""
PRIOR_KNOWN_POSITIONS = "prior_known_positions"
"""Array of a network that predicts substitutions at known positions, [T, 1, weights]; NaN where there is none."""


@dataclass(frozen=True)
class MutationsAt:
    """M mutations of n rows by template and site."""

    row: np.ndarray
    template: np.ndarray
    """int64 [M]: index of the evidence's source."""
    position: np.ndarray
    """int64 [M], from 0."""
    old: np.ndarray
    new: np.ndarray
    """int64 [M]: tokens of the template's residue and the new one."""

    def take(self, part: slice) -> "MutationsAt":
        """Some of the mutations, in order."""
        columns = (self.row, self.template, self.position, self.old, self.new)
        return MutationsAt(*(column[part] for column in columns))


def standardised(values: np.ndarray) -> np.ndarray:
    """float64 of the same shape: mean 0 and deviation 1 over the sites that have values, 0 where there are none.

    Args:
        values: [T, L, c], NaN where unknown.
    """
    flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
    known = np.asarray(np.isfinite(flat).all(axis=1))
    if not known.any():
        return np.zeros(values.shape)
    mean, spread = flat[known].mean(axis=0), flat[known].std(axis=0)
    scaled = (flat - mean) / np.where(spread > 1e-9, spread, 1.0)
    return np.asarray(np.where(known[:, None], scaled, 0.0).reshape(values.shape))


def burial(values: np.ndarray, columns: tuple[str, ...]) -> np.ndarray:
    """float64 [..., ]: one number for burial from standardised columns of a structure, mean 0 and deviation 1."""
    total = sum(values[..., columns.index(name)] for name in BURIAL) - values[..., columns.index("exposed")]
    total = np.asarray(total)
    return np.asarray((total - total.mean()) / (total.std() + 1e-9))


def log_odds(preferences: np.ndarray, at: MutationsAt) -> np.ndarray:
    """float64 [M]: log frequency of the new residue minus that of the old one; 0 at sites without an alignment.

    Args:
        preferences: [T, L, 20], natural logarithms, NaN where unknown.
        at: the mutations; an old residue outside the twenty counts 0.
    """
    here = preferences[at.template, at.position].astype(np.float64)
    known = np.isfinite(here).all(axis=1) & (at.old < len(AMINO_ACIDS)) & (at.new < len(AMINO_ACIDS))
    rows = np.arange(len(here))
    last = len(AMINO_ACIDS) - 1
    found = here[rows, np.minimum(at.new, last)] - here[rows, np.minimum(at.old, last)]
    return np.asarray(np.where(known, found, 0.0))


def expected_effects(effects: np.ndarray, at: MutationsAt) -> np.ndarray:
    """Effect of each mutation that a prior predicts, float64 [M]; 0 where it says nothing.

    Args:
        effects: [T, L, 20], NaN where unknown.
        at: the mutations.
    """
    length, last = effects.shape[1], effects.shape[2] - 1
    found = effects[at.template, np.minimum(at.position, length - 1), np.minimum(at.new, last)]
    return np.asarray(np.where((at.position < length) & np.isfinite(found), found, 0.0), np.float64)


def has(evidence: Evidence | None, name: str) -> bool:
    """True if an array with at least one value is there."""
    return evidence is not None and name in evidence.arrays and bool(np.isfinite(evidence.arrays[name]).any())


def summed(row: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """float64 [n, c]: values (float64 [M, c]) of the mutations of each row."""
    found = np.zeros((n, values.shape[1]))
    np.add.at(found, row, values)
    return found


def used_files(evidence: Evidence | None) -> Mapping[str, Mapping[str, str]]:
    """Kind -> source -> digest of the file used; part of what identifies a representation made from them."""
    if evidence is None:
        return {}
    return {
        kind: {source: facts["sha256"] for source, facts in evidence.info[kind].items() if facts["used"]}
        for kind in ("structure", "alignment")
    }
