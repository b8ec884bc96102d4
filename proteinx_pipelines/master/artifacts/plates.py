"""Proposals of a job as plates: which variant is in which well, and why."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.master.artifacts.index import file_of, paths_of
from proteinx_pipelines.master.master import Master

PROPOSALS = "artifacts/design/proposals.csv"
"""Table that the stage `design` leaves."""
SHADES = 5
"""Steps of colour from the lowest prediction on a plate to the highest."""
_WELL = re.compile(r"(?:(\d+)-)?([A-P])(\d{1,2})")


@dataclass(frozen=True)
class Well:
    """One filled well."""

    name: str
    """`B3`; `2-B3` on the second plate."""
    row: Mapping[str, str]
    """Its line of the table."""
    shade: int | None
    """0 to `SHADES` - 1 by its prediction; None for a control."""

    @property
    def is_control(self) -> bool:
        """True for the wild type and for measured variants."""
        return self.shade is None


@dataclass(frozen=True)
class PlateMap:
    """One plate."""

    number: int
    letters: str
    """Its rows: `ABCDEFGH`, or up to `P` on 384 wells."""
    columns: int
    wells: Mapping[str, Well]
    """By letter and column: `B3`."""


def has_proposals(master: Master, job: Mapping[str, Any]) -> bool:
    """True if a job has made proposals; nothing is read."""
    return PROPOSALS in paths_of(master, job, PROPOSALS.rpartition("/")[0] + "/")


def proposals_of(master: Master, job: Mapping[str, Any]) -> list[dict[str, str]]:
    """Lines of a job's proposals, controls first. Not for the event loop.

    Raises:
        MissingArtifact: the job has no proposals.
    """
    text = file_of(master, job, PROPOSALS).place.read_text(encoding="utf-8")
    return [dict(row) for row in csv.DictReader(io.StringIO(text))]


def plates_of(rows: Sequence[Mapping[str, str]], size: int) -> list[PlateMap]:
    """Lay proposals out as plates.

    Args:
        rows: of the table.
        size: wells of a plate, 96 or 384; 384 is taken where a well is outside of 96.
    """
    found = [(match, row) for row in rows if (match := _WELL.fullmatch(row.get("well", "")))]
    is_large = size == 384 or any(match[2] > "H" or int(match[3]) > 12 for match, _ in found)
    letters, columns = ("ABCDEFGHIJKLMNOP", 24) if is_large else ("ABCDEFGH", 12)
    shades = dict(_shades(found))
    plates: dict[int, dict[str, Well]] = {}
    for match, row in found:
        number = int(match[1] or 1)
        plates.setdefault(number, {})[match[2] + match[3]] = Well(row["well"], row, shades.get(row["well"]))
    return [PlateMap(number, letters, columns, wells) for number, wells in sorted(plates.items())]


def _shades(found: Sequence[tuple[re.Match[str], Mapping[str, str]]]) -> Iterator[tuple[str, int]]:
    values = {row["well"]: value for _, row in found if (value := _number(row)) is not None}
    low, high = min(values.values(), default=0.0), max(values.values(), default=0.0)
    for well, value in values.items():
        share = (value - low) / (high - low) if high > low else 0.5
        yield well, min(SHADES - 1, int(share * SHADES))


def _number(row: Mapping[str, str]) -> float | None:
    """Prediction of a proposal; None for a control."""
    try:
        return float(row["prediction"]) if row.get("rank") not in ("0", "", None) else None
    except (KeyError, ValueError):
        return None
