"""Check rows of a plain file against a template, on whole columns (2 million rows a second).

`incoming` explains refused rows from the whole file, one sentence per cause. `parsing` reads the batches, `importing`
stores them.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.parsing import RawRows
from proteinx_pipelines.mutants import parse_mutants, renumbered
from proteinx_pipelines.variant_files.fitting import differing, letters_of, misplaced

_MISSING_SCORES = ("", "na", "nan")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class GoodRows:
    """n rows that are variants of the template, positions counted from its first residue."""

    mutants: pa.Array
    scores: np.ndarray
    """float64 [n], NaN where nothing was measured."""
    bins: pa.Array
    mut_num: np.ndarray
    """int64 [n], mutations as written."""


class RowChecker:
    """Checks batches of rows against one template.

    Args:
        template: letters A-Z.
        offset: written position minus position in the template, as in ESM's `--offset-idx`.
    """

    def __init__(self, template: str, offset: int) -> None:
        self.template = template
        self.offset = offset
        self._letters = letters_of(template)
        self._residues = np.zeros(256, bool)
        self._positions = np.zeros(len(template) + 1, bool)

    def check(self, raw: RawRows) -> GoodRows | None:
        """Check a batch: its rows, or None if one of them is not good."""
        table = parse_mutants(raw.mutants)
        scores, bad = read_scores(raw.scores)
        bad |= table.malformed | misplaced(table, self._letters, self.offset)
        if not bad.any() and raw.sequences is not None:
            bad |= differing(raw.sequences, table, ~bad, self._letters, self.offset)
        if bad.any():
            return None
        self._residues[table.residue] = True
        self._positions[table.position - self.offset] = True
        return GoodRows(renumbered(raw.mutants, -self.offset), scores, raw.bins, table.counts)

    @property
    def residues(self) -> list[str]:
        """New letters of all rows checked so far."""
        return [chr(code) for code in np.flatnonzero(self._residues)]

    @property
    def positions(self) -> list[int]:
        """Template positions changed by all rows checked so far."""
        return np.flatnonzero(self._positions).tolist()


def read_scores(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Read scores as float64 [n] (NaN: not measured), and mark rows that are not numbers (bool [n])."""
    bad = np.zeros(len(column), bool)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.utf8_trim_whitespace(column)
        missing = pc.is_in(pc.utf8_lower(column), pa.array(_MISSING_SCORES, column.type))
        column = pc.if_else(missing, pa.scalar(None, column.type), column)
        is_number = pc.match_substring_regex(column, _NUMBER).fill_null(True)
        bad = ~is_number.to_numpy(zero_copy_only=False)
        column = pc.utf8_ltrim(pc.if_else(is_number, column, pa.scalar(None, column.type)), "+")
    elif pa.types.is_boolean(column.type) or not _is_number(column.type):
        return np.full(len(column), np.nan), column.is_valid().to_numpy(zero_copy_only=False)
    scores = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return scores, bad | np.isinf(scores)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in tests)
