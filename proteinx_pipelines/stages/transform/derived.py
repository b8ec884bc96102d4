"""Columns that `transform.derived` adds: what a mutant changes, in words a person filters and plots by.

Features that a model is trained on are made in the embedding stage, not here.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from proteinx_pipelines.mutants import joined_by_row, letter_strings
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.transform.mutations import Mutations

DECIMALS = 6
"""Sums are rounded: the scales have one decimal, and -2.4000000000000004 helps nobody."""


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


def derived_column(name: str, mutations: Mutations) -> pa.Array:
    """One derived column of N rows.

    `positions` is text like `24:40` and `mutated_residues` the new letters in the same order, like `C:G`;
    both are empty for the wild type. The changes are sums over the mutations of (new residue - wild type),
    float64: 0 for the wild type, null where the template's letter is none of the twenty.
    """
    return _COLUMNS[name](mutations)


def _sum_of_differences(scale: np.ndarray) -> Callable[[Mutations], pa.Array]:
    def column(mutations: Mutations) -> pa.Array:
        difference = scale[mutations.residue] - scale[mutations.wild_type]
        total = np.bincount(mutations.row, weights=difference, minlength=mutations.n_mutants)
        return pa.array(np.round(total, DECIMALS), from_pandas=True)

    return column


def _positions(mutations: Mutations) -> pa.Array:
    return joined_by_row(pa.array(mutations.position).cast(pa.string()), mutations.row, mutations.n_mutants)


def _mutated_residues(mutations: Mutations) -> pa.Array:
    return joined_by_row(letter_strings(mutations.residue), mutations.row, mutations.n_mutants)


_COLUMNS: dict[str, Callable[[Mutations], pa.Array]] = {
    "positions": _positions,
    "mutated_residues": _mutated_residues,
    "hydropathy_change": _sum_of_differences(HYDROPATHY),
    "charge_change": _sum_of_differences(CHARGE),
    "volume_change": _sum_of_differences(VOLUME),
}
