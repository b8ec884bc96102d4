"""Collect problems of the selected rows, so that one message names all of them.

Formats the list of bad rows; the steps that add to it decide what is bad.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.numbering import names_of

SHOWN = 20
"""Rows of one kind that a message spells out; the rest are counted."""


def listed(lines: list[str], total: int) -> str:
    """Indented lines, and the number of lines omitted."""
    more = [f"... and {total - len(lines)} more"] if total > len(lines) else []
    return "".join(f"\n  {line}" for line in [*lines, *more])


class Refusals:
    """Problems found in the selected rows so far, by kind."""

    def __init__(self, rows: pa.Table, offsets: Mapping[str, int] | None = None) -> None:
        self._rows = rows
        self.offsets = offsets or {}
        self._problems: list[str] = []

    def add(
        self, kind: str, rows: np.ndarray, advice: str, describe: Callable[[int], str] | None = None
    ) -> None:
        """Refuse rows for one reason; does nothing if there are no rows.

        Args:
            kind: the problem, as in "have a stop".
            rows: int64 [n], indices into the selected rows; one row may come twice.
            advice: the remedy.
            describe: text found in the *i*-th of `rows`, if `kind` alone is not enough.
        """
        if not len(rows):
            return
        lines = names_of(self._rows, self.offsets, rows[:SHOWN])
        if describe:
            lines = [f"{line}: {describe(i)}" for i, line in enumerate(lines)]
        count = len(np.unique(rows))
        self._problems.append(
            f"{count} of {self._rows.num_rows} selected rows {kind}:{listed(lines, len(rows))}\n{advice}"
        )

    def add_sentence(self, problem: str) -> None:
        """Add a problem that is not about a row."""
        self._problems.append(problem)

    def offset_of(self, row: int) -> int:
        """Offset of the source of a selected row: position in the user's numbering minus position in the template."""
        return self.offsets.get(str(self._rows.column("source")[row]), 0)

    def raise_if_any(self) -> None:
        """Raise if anything was refused.

        Raises:
            BadVariants: every problem added, each with its remedy.
        """
        if self._problems:
            raise BadVariants("\n".join(self._problems))
