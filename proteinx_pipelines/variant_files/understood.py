"""Interpretation of a file, and the user's options for reading it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReadingOptions:
    """Options of the user about a file; None: inferred."""

    mutant_column: str | None = None
    score_column: str | None = None
    bin_column: str | None = None
    sequence_column: str | None = None
    separator: str | None = None
    """Between columns: one character, or `tab`."""
    decimal: str | None = None
    """`.` or `,`."""
    encoding: str | None = None
    sheet: str | None = None
    """Sheet of a workbook, or file in a zip archive."""
    further_columns: tuple[str, ...] = ()
    """Scores of other properties, kept beside the first."""
    positions: tuple[int, ...] = ()
    """Positions, in the file's numbering, of the letters in cells such as `VDGV`."""
    ignored_columns: tuple[str, ...] = ()
    """Columns that are not looked at."""

    @property
    def is_default(self) -> bool:
        """True if no option is set."""
        return self == ReadingOptions()


@dataclass
class Understood:
    """Interpretation of a file. `facts` is printed by `--dry-run` and stored with the source."""

    form: str
    """CSV, TSV, XLSX, Parquet, Feather, JSON or FASTA."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Name of a fact, in words -> value: `columns separated by` -> `;`."""
    columns: dict[str, str] = field(default_factory=dict)
    """`mutant`, `score`, ... -> name of the column in the file."""
    ignored_columns: tuple[str, ...] = ()
    notations: Counter[str] = field(default_factory=Counter)
    """Notation of mutants, in words -> number of rows."""
    notes: list[str] = field(default_factory=list)
    """Sentences about ambiguous decisions."""

    def as_document(self) -> dict[str, Any]:
        """Convert to plain JSON."""
        return {
            "form": self.form,
            **self.facts,
            "columns": self.columns,
            "ignored_columns": list(self.ignored_columns),
            "notations": dict(self.notations),
            "notes": self.notes,
        }

    def as_lines(self) -> list[str]:
        """Lines for a terminal: `name: value`."""
        lines = [f"form: {self.form}"]
        lines += [f"{name}: {_shown(value)}" for name, value in self.facts.items()]
        lines += [f"column of {role}: {name}" for role, name in self.columns.items()]
        if self.ignored_columns:
            lines.append(f"columns not used: {', '.join(self.ignored_columns)}")
        lines += [f"mutants, {how}: {rows:,} rows" for how, rows in self.notations.most_common()]
        return [*lines, *(f"note: {note}" for note in self.notes)]


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
