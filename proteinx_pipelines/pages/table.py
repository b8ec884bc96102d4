"""Content of a table on a page, without its appearance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proteinx_pipelines.pages.numbers import interval, number

Cell = str | int | float | None | Mapping[str, object]
"""A text, a number (floats with three decimals), None (a dash), or a `value` with lines `below` it."""


@dataclass(frozen=True)
class Table:
    """Rows below a header."""

    name: str
    """Stem of the file the table is saved as."""
    label: str
    """Description for screen readers."""
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    main: int | None = None
    """Index of a row to highlight."""
    numeric: frozenset[int] = field(init=False)
    """Columns that hold numbers: they and their headers are right-aligned."""

    def __post_init__(self) -> None:
        columns = range(len(self.header))
        found = {
            k
            for k in columns
            if any(k < len(row) and not isinstance(row[k], str | None) for row in self.rows)
        }
        object.__setattr__(self, "numeric", frozenset(found))


def real(value: float | None) -> float | None:
    """A number that is shown with decimals, whole or not; None stays None."""
    return None if value is None else float(value)


def with_interval(entry: Mapping[str, float | None]) -> Mapping[str, object]:
    """Cell of a metric: its value, and below it the interval, the mean over folds (⌀) and within sources (◇)."""
    below = []
    is_defined = entry.get("value") is not None
    if shown := interval(entry.get("low"), entry.get("high")):
        below.append(shown)
    if "fold_mean" in entry and (is_defined or entry["fold_mean"] is not None):
        deviation = entry.get("fold_sd")
        spread = "" if deviation is None else f" ± {deviation:.3f}"
        below.append(f"⌀ {number(entry['fold_mean'])}{spread}")
    if "source_mean" in entry and (is_defined or entry["source_mean"] is not None):
        below.append(f"◇ {number(entry['source_mean'])}")
    return {"value": entry.get("value"), "below": below}
