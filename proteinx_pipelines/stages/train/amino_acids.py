"""Similarity of amino acids prior to any measurement, used by the mutation kernel and boosting.

Tables are computed once, and cannot be written to.
"""

from functools import cache

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.scales import CHARGE, HYDROPATHY, VOLUME

_CODES = np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)
SCALES: dict[str, tuple[float, ...]] = {
    "hydropathy": tuple(HYDROPATHY[_CODES]),
    "volume": tuple(VOLUME[_CODES]),
    "charge": tuple(CHARGE[_CODES]),
    "helix": (0.0, 0.68, 0.69, 0.40, 0.54, 1.0, 0.61, 0.41, 0.26, 0.21, 0.24, 0.65, 1.5, 0.39, 0.21, 0.50, 0.66,
              0.61, 0.49, 0.53),
    "strand": (0.83, 1.19, 0.54, 0.37, 1.38, 0.75, 0.87, 1.60, 0.74, 1.30, 1.05, 0.89, 0.55, 1.10, 0.93, 0.75,
               1.19, 1.70, 1.37, 1.47),
    "aromatic": tuple(float(letter in "FHWY") for letter in AMINO_ACIDS),
    "proline": tuple(float(letter == "P") for letter in AMINO_ACIDS),
    "glycine": tuple(float(letter == "G") for letter in AMINO_ACIDS),
    "branched": tuple(float(letter in "ITV") for letter in AMINO_ACIDS),
}  # fmt: skip
"""Values of each scale in the order of `AMINO_ACIDS` (ACDEFGHIKLMNPQRSTVWY).

Source:
    hydropathy, volume and charge: as `scales` says. helix (kcal/mol): Pace and Scholtz 1998, Biophys. J. 75:422,
    proline (3.16) cut to 1.5, since it has a column of its own. strand: Chou and Fasman 1978, Adv. Enzymol. 47:45.
    The others describe the kind of side chain.
"""

_IMPORTANCE = np.array([1.5, 1.2, 1.0, 0.6, 0.6, 0.6, 0.8, 0.5, 0.5])
"""Weight of each scale in `similarity`, set by hand: hydropathy and size first."""


KINDS = ("AST", "VILMC", "FWYH", "NQ", "KR", "DE", "P", "G")
"""Residues that answer alike where little is measured: small, aliphatic, aromatic, amides, and so on."""
KIND = np.array([next(k for k, letters in enumerate(KINDS) if letter in letters) for letter in AMINO_ACIDS])
"""int64 [20]: index in `KINDS`."""
OF_KIND = np.eye(len(KINDS))[KIND]
"""float64 [20, 8]: 1 where a residue is of a kind."""


@cache
def properties() -> np.ndarray:
    """float64 [20, 9]: each scale with mean 0 and deviation 1 over the twenty amino acids."""
    values = np.array(list(SCALES.values()), dtype=np.float64).T
    return _fixed((values - values.mean(axis=0)) / values.std(axis=0))


@cache
def squared_distances() -> np.ndarray:
    """Squared distance of two amino acids by their weighted `properties`, float64 [20, 20], median of pairs 1."""
    weighted = properties() * _IMPORTANCE
    squared = ((weighted[:, None] - weighted[None]) ** 2).sum(axis=-1)
    return _fixed(squared / np.median(squared[squared > 0]))


@cache
def similarity() -> np.ndarray:
    """Similarity matrix, float64 [20, 20], positive definite, 1 on the diagonal: half physics, half evolution.

    The mean of a Gaussian of the distance between weighted `properties` and of BLOSUM62 made positive
    semi-definite (negative eigenvalues cut off) and scaled to a correlation.
    """
    physical = np.exp(-squared_distances())
    values, vectors = np.linalg.eigh(blosum62().astype(np.float64))
    evolved = (vectors * np.clip(values, 0, None)) @ vectors.T
    size = np.sqrt(np.diag(evolved))
    return _fixed((physical + evolved / np.outer(size, size)) / 2)


def _fixed(table: np.ndarray) -> np.ndarray:
    table.flags.writeable = False
    return table
