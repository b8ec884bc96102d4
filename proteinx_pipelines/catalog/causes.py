"""Causes of refused rows, one sentence each: the number of rows, and three examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proteinx_pipelines.variant_files.fitting import Numbering
from proteinx_pipelines.variant_files.notation import (
    MALFORMED,
    MISFIT,
    OUT_OF_REACH,
    OUTSIDE,
)
from proteinx_pipelines.variant_files.variants import NO_MUTANT, NO_SEQUENCE, OTHER_PROTEIN, OTHER_SEQUENCE

BAD_SCORE, BROKEN = "score", "broken line"
_SHOWN = 3
_SENTENCES = {
    MISFIT: "written against another template",
    OUTSIDE: "beyond the ends of the template",
    MALFORMED: "with a mutant that cannot be read",
    OTHER_SEQUENCE: "whose sequence contradicts the mutant",
    NO_MUTANT: "without a mutant",
    NO_SEQUENCE: "without a sequence",
    OTHER_PROTEIN: "that share less than half of the template",
    BAD_SCORE: "with a score that is not a finite number",
    BROKEN: "with too few or too many cells",
}


@dataclass(frozen=True)
class BadRow:
    """One row that is not imported."""

    line: int
    kind: str
    text: str


def sentences(bad: Sequence[BadRow], unit: str) -> list[str]:
    """Write one sentence per cause, the most frequent first; unsupported kinds follow errors."""
    groups: dict[str, list[BadRow]] = {}
    for row in bad:
        groups.setdefault(row.kind, []).append(row)
    order = sorted(groups, key=lambda kind: (kind in OUT_OF_REACH, -len(groups[kind])))
    return [_sentence(kind, groups[kind], unit) for kind in order]


def _sentence(kind: str, rows: Sequence[BadRow], unit: str) -> str:
    examples = "; ".join(f"{unit} {row.line}: {row.text}" for row in rows[:_SHOWN])
    if len(rows) == 1 and kind not in OUT_OF_REACH:
        return examples
    more = f"; and {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    count = f"{len(rows):,} rows" if len(rows) > 1 else "1 row"
    if kind in OUT_OF_REACH:
        return f"{count} cannot be had: {OUT_OF_REACH[kind]} ({examples}{more})"
    return f"{count} {_SENTENCES[kind]}: {examples}{more}"


def numbering_sentence(given: Numbering, better: Sequence[Numbering], n_rows: int) -> str | None:
    """Sentence about an offset that fits clearly better; None if there is none."""
    if not better or better[0].rows < max(given.rows + 1, 0.9 * n_rows):
        return None
    same = [numbering.offset for numbering in better if numbering.rows == better[0].rows]
    options = " or ".join(f"--offset {offset}" for offset in same)
    fit = f"all {n_rows:,} rows" if better[0].rows == n_rows else f"{better[0].rows:,} of {n_rows:,} rows"
    how = ""
    if given.offset == 0 and same == [-1]:
        how = "Positions count from 0: "
    elif same == [0]:
        how = "Positions count in the template already: "
    if not how:
        fit = fit[0].upper() + fit[1:]
    return f"{how}{fit} fit with {options}, {given.rows:,} as they are."


def fits_all(better: Sequence[Numbering], n_rows: int) -> bool:
    """True if every row would fit under another offset."""
    return bool(better) and better[0].rows == n_rows


def counted(bad: Sequence[BadRow]) -> Mapping[str, int]:
    """Kind -> rows."""
    found: dict[str, int] = {}
    for row in bad:
        found[row.kind] = found.get(row.kind, 0) + 1
    return found
