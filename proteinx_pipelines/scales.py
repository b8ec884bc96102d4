"""Amino-acid scales: one number (or five) for each of the twenty residues, each with its source."""

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS


def _scale(values: dict[str, float]) -> np.ndarray:
    """float64 [256] by ASCII code; NaN for letters that are none of the twenty."""
    table = np.full(256, np.nan)
    for letter in AMINO_ACIDS:
        table[ord(letter)] = values.get(letter, 0.0)
    return table


HYDROPATHY = _scale(
    {
        "A": 1.8, "R": -4.5, "N": -3.5, "D": -3.5, "C": 2.5, "Q": -3.5, "E": -3.5, "G": -0.4, "H": -3.2,
        "I": 4.5, "L": 3.8, "K": -3.9, "M": 1.9, "F": 2.8, "P": -1.6, "S": -0.8, "T": -0.7, "W": -0.9,
        "Y": -1.3, "V": 4.2,
    }
)  # fmt: skip
"""Hydropathy, without unit, 4.5 (isoleucine) to -4.5 (arginine).

Source: Kyte and Doolittle 1982, J. Mol. Biol. 157:105-132, table 2.
"""

CHARGE = _scale({"D": -1.0, "E": -1.0, "K": 1.0, "R": 1.0})
"""Charge of the side chain near pH 7 in elementary charges; histidine (pKa about 6) counts as neutral.

Source: side-chain pKa in Nelson and Cox, Lehninger Principles of Biochemistry, chapter 3.
"""

VOLUME = _scale(
    {
        "A": 88.6, "R": 173.4, "N": 114.1, "D": 111.1, "C": 108.5, "Q": 143.8, "E": 138.4, "G": 60.1,
        "H": 153.2, "I": 166.7, "L": 166.7, "K": 168.6, "M": 162.9, "F": 189.9, "P": 112.7, "S": 89.0,
        "T": 116.1, "W": 227.8, "Y": 193.6, "V": 140.0,
    }
)  # fmt: skip
"""Volume of the residue in cubic angstroms.

Source: Zamyatnin 1972, Prog. Biophys. Mol. Biol. 24:107-123.
"""

_Z = """
A  0.24 -2.32  0.60 -0.14  1.30
R  3.52  2.50 -3.50  1.99 -0.17
N  3.05  1.62  1.04 -1.15  1.61
D  3.98  0.93  1.93 -2.46  0.75
C  0.84 -1.67  3.71  0.18 -2.65
Q  1.75  0.50 -1.44 -1.34  0.66
E  3.11  0.26 -0.11 -3.04 -0.25
G  2.05 -4.06  0.36 -0.82 -0.38
H  2.47  1.95  0.26  3.90  0.09
I -3.89 -1.73 -1.71 -0.84  0.26
L -4.28 -1.30 -1.49 -0.72  0.84
K  2.29  0.89 -2.49  1.49  0.31
M -2.85 -0.22  0.47  1.94 -0.98
F -4.22  1.94  1.06  0.54 -0.62
P -1.66  0.27  1.84  0.70  2.00
S  2.39 -1.07  1.15 -1.39  0.67
T  0.75 -2.18 -1.12 -1.46 -0.40
W -4.36  3.94  0.59  3.44 -1.59
Y -2.54  2.44  0.43  0.04 -1.47
V -2.59 -2.64 -1.54 -0.85 -0.02
"""


def z_scales() -> np.ndarray:
    """float64 [20, 5] in the order of `AMINO_ACIDS`: lipophilicity, bulk, polarity, and two of electronic effects.

    Source: Sandberg et al. 1998, J. Med. Chem. 41:2481-2491, doi:10.1021/jm9700575, table 1.
    """
    rows = {line.split()[0]: [float(text) for text in line.split()[1:]] for line in _Z.split("\n") if line}
    return np.array([rows[letter] for letter in AMINO_ACIDS])


def scale_table() -> np.ndarray:
    """float64 [20, 8]: hydropathy, charge, volume and the five z-scales, each centred and divided by its deviation.

    Over the twenty residues, so that no column outweighs another in a penalised model.
    """
    codes = np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)
    single = [scale[codes] for scale in (HYDROPATHY, CHARGE, VOLUME)]
    table = np.column_stack([*single, z_scales()])
    return np.asarray((table - table.mean(axis=0)) / table.std(axis=0))
