"""Description of the residues of one chain: burial, contacts, exposure, secondary structure, neighbours.

All residues of the file are neighbours, those of other chains included. Distances are in angstrom.
"""

from collections.abc import Sequence

import numpy as np

from proteinx_pipelines.evidence.structure_files import Residues
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.scales import CHARGE, HYDROPATHY, VOLUME

COLUMNS: Sequence[str] = (
    "neighbours_8", "neighbours_10", "neighbours_14", "half_sphere_up", "half_sphere_down", "around_hydropathy",
    "around_volume", "around_charge", "contacts", "hydrophobic_contacts", "exposed", "helix", "strand", "confidence",
)  # fmt: skip
"""Names of the columns of `describe_chain`, in order."""
PACKING: Sequence[str] = ("contact_number", "side_exposed")
"""Names of the columns of `describe_packing`, in order."""
RADII = (8.0, 10.0, 14.0)
"""Radii within which C-beta atoms are counted (burial)."""
HALF_SPHERE = 13.0
"""Radius of the half-sphere exposure (Hamelryck 2005, Proteins 59:38)."""
_AROUND = 6.0
_CONTACT, _FADE = 4.0, 2.0
_NEAREST = 1.0
"""Smallest distance of two centres: side chains that lie in each other count no more."""
LEAST_CONFIDENCE = 50.0
"""pLDDT below which a predicted residue is unknown: AlphaFold's "very low", mostly disordered."""
_LARGEST = dict(
    zip("ARNDCQEGHILKMFPSTWYV",
        (121.0, 265.0, 187.0, 187.0, 148.0, 214.0, 214.0, 97.0, 216.0, 195.0, 191.0, 230.0, 203.0, 228.0, 154.0, 143.0,
         163.0, 264.0, 255.0, 165.0), strict=True)
)  # fmt: skip
"""Largest accessible surface of each residue, square angstrom (Tien et al. 2013, PLoS ONE 8:e80635, empirical)."""
_HYDROPHOBIC = "AVLIMFWYC"


def describe_chain(residues: Residues, chain: np.ndarray) -> np.ndarray:
    """Describe some residues, float64 [n, 14] (`COLUMNS`).

    Args:
        residues: of the whole file.
        chain: int64 [n], residues to describe.
    """
    codes = np.frombuffer(residues.letters.encode("ascii"), np.uint8)
    apart = np.arange(len(codes))[None] != chain[:, None]  # a residue is not its own neighbour
    distance = np.linalg.norm(residues.beta[chain][:, None] - residues.beta[None], axis=-1)  # [n, R]
    up = _up(residues, chain)
    near = apart & (
        np.linalg.norm(residues.alpha[chain][:, None] - residues.alpha[None], axis=-1) < HALF_SPHERE
    )
    weights = np.exp(-(distance**2) / (2 * _AROUND**2)) * apart
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    contact = np.exp(-np.maximum(distance - _CONTACT, 0) / _FADE) * apart
    hydrophobic = np.isin(list(residues.letters), list(_HYDROPHOBIC)).astype(np.float64)
    largest = np.array([_LARGEST.get(residues.letters[i], 180.0) for i in chain])
    fold = residues.fold[chain]
    columns = [
        *(((distance < radius) & apart).sum(axis=1) for radius in RADII),
        (near & up).sum(axis=1), (near & ~up).sum(axis=1),
        *(weights @ table[codes] for table in _scales()),
        contact.sum(axis=1), contact @ hydrophobic, residues.exposed[chain] / largest,
        fold == "a", fold == "b", _confidence(residues)[chain],
    ]  # fmt: skip
    return np.column_stack([np.asarray(column, np.float64) for column in columns])


def describe_packing(residues: Residues, chain: np.ndarray) -> np.ndarray:
    """How tightly the side chains of some residues are packed, float64 [n, 2] (`PACKING`).

    The weighted contact number of side-chain centres (Marcos and Echave 2015, PeerJ 3:e911), per square angstrom, and
    the surface of the side chain that solvent reaches, in square angstrom.

    Args:
        residues: of the whole file.
        chain: int64 [n], residues to describe.
    """
    squared = ((residues.centre[chain][:, None] - residues.centre[None]) ** 2).sum(axis=-1)
    squared[np.arange(len(chain)), chain] = np.inf  # a residue is not its own neighbour
    number = (1 / np.maximum(squared, _NEAREST**2)).sum(axis=1)
    return np.column_stack([number, residues.exposed_side[chain]])


def _scales() -> list[np.ndarray]:
    """Hydropathy, volume and charge by ASCII code, standardised over the twenty residues; 0 for others."""
    known = np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)
    tables = []
    for scale in (HYDROPATHY, VOLUME, CHARGE):
        values = np.asarray(scale, np.float64)[known]
        table = np.zeros(256)
        table[known] = (values - values.mean()) / values.std()
        tables.append(table)
    return tables


def _up(residues: Residues, chain: np.ndarray) -> np.ndarray:
    """Bool [n, R]: whether each residue lies on the side of the side chain."""
    side = residues.beta[chain] - residues.alpha[chain]
    away = residues.alpha[None] - residues.alpha[chain][:, None]
    return np.asarray(np.einsum("nrk,nk->nr", away, side) > 0)


def _confidence(residues: Residues) -> np.ndarray:
    """float64 [R]: pLDDT from 0 to 1, or minus the standardised B-factor of a measured structure (rigid is high)."""
    if residues.is_predicted:
        return np.asarray(residues.b_factor / 100.0)
    spread = float(residues.b_factor.std())
    return np.asarray(-(residues.b_factor - residues.b_factor.mean()) / (spread or 1.0))
