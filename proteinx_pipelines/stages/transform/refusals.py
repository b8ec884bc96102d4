"""Collecting what is wrong with the selected rows, so that one message names all of it.

Knows how a list of bad rows is told. What counts as bad is decided by the steps that add to it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.numbering import names_of

SHOWN = 20
"""Rows of one kind that a message spells out; the rest are counted."""


def listed(lines: list[str], total: int) -> str:
    """Indented lines, and how many more there are than these."""
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
        """Refuse rows for one reason; no rows is no problem.

        Args:
            kind: what is wrong, as in "have a stop".
            rows: int64 [n], indices into the selected rows; one row may come twice.
            advice: what the reader should do.
            describe: what was found in the *i*-th of `rows`, where `kind` does not say it all.
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
        """Refuse something that is not a row."""
        self._problems.append(problem)

    def offset_of(self, row: int) -> int:
        """Position as its people write it less position in the template, of the source of a selected row."""
        return self.offsets.get(str(self._rows.column("source")[row]), 0)

    def raise_if_any(self) -> None:
        """End here if anything was refused.

        Raises:
            BadVariants: every problem added; each says what to do.
        """
        if self._problems:
            raise BadVariants("\n".join(self._problems))
