"""A table that never breaks words: a narrow screen drops the least important columns, then wraps at spaces.

Words are broken only where a column that must stay has words wider than the screen, so that nothing is lost.
"""

from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from proteinx_pipelines.visible import visible

_GAP, _EDGES = 3, 2
"""Screen columns between two cells and at both ends, as drawn by `box.SIMPLE_HEAD` with its padding."""


class WordTable(Table):
    """A rich table whose columns have a rank: rank 0 always stays, the highest rank is dropped first."""

    def __init__(self, *, title: str | None = None) -> None:
        super().__init__(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
        self._ranks: list[int] = []

    def add_ranked(self, header: str, rank: int = 0, **options: Any) -> None:
        """Add a column that is dropped on a narrow screen once no column of a higher rank is left."""
        self.add_column(header, overflow="fold", **options)
        self._ranks += [0] * (len(self.columns) - 1 - len(self._ranks)) + [rank]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The table, fitted to the screen."""
        self._fit(options.max_width)
        yield from super().__rich_console__(console, options)

    def _fit(self, width: int) -> None:
        self._ranks += [0] * (len(self.columns) - len(self._ranks))
        least = [_least_width(column) for column in self.columns]
        while _width(least) > width and (worst := max(self._ranks)) > 0:
            position = len(self._ranks) - 1 - self._ranks[::-1].index(worst)
            for row in (self.columns, self._ranks, least):
                del row[position]
        for number, column in enumerate(self.columns):
            column._index = number  # noqa: SLF001  # rich looks its cells up by it
        fits = _width(least) <= width
        for column, words in zip(self.columns, least, strict=True):
            column.min_width = words if fits else None
            column.no_wrap = column.no_wrap and fits


def _width(cells: list[int]) -> int:
    return sum(cells) + _GAP * (len(cells) - 1) + _EDGES


def _least_width(column: Any) -> int:
    """Smallest width at which no word of the column, and no cell on a single line, is broken."""
    texts = [
        cell if isinstance(cell, Text) else Text.from_markup(visible(str(cell)))
        for cell in (column.header, *column.cells)
    ]
    if column.no_wrap:
        return max((text.cell_len for text in texts), default=0)
    return max((Text(word).cell_len for text in texts for word in text.plain.split()), default=0)
