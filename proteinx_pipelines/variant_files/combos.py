"""Cells such as `VDGV`: the letters at positions that the file does not name, as libraries of few sites are written."""

import re
from collections.abc import Sequence

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.mutants import SEPARATOR, WILD_TYPE
from proteinx_pipelines.variant_files.notation import MALFORMED, NotRead

_LONGEST = 12
_LETTERS = re.compile("[A-Za-z*]+")


def common_length(cells: Sequence[str | None]) -> int | None:
    """The length of all cells where they are letters alone and of one length, as a library's are; else None."""
    found = [cell.strip() for cell in cells if cell and cell.strip()]
    lengths = {len(cell) for cell in found}
    if len(lengths) != 1 or not all(_LETTERS.fullmatch(cell) for cell in found):
        return None
    (length,) = lengths
    return length if 2 <= length <= _LONGEST and len(set(found)) > 1 else None


def check_positions(positions: Sequence[int], template: str, offset: int) -> None:
    """Whether positions as written lie in the template, each once.

    Raises:
        CatalogError: they do not.
    """
    outside = [place for place in positions if not 1 <= place - offset <= len(template)]
    if outside or len(set(positions)) != len(positions):
        found = f"{outside[0]} lies outside the template" if outside else "one of them comes twice"
        raise CatalogError(
            f"--positions {','.join(map(str, positions))}: {found}; positions from {1 + offset} to "
            f"{len(template) + offset} are expected, each once."
        )


def mutant_of_combo(cell: str, positions: Sequence[int], template: str, offset: int) -> str:
    """`IDGV` at 39, 40, 41, 54 as `V39I`, in positions of the template.

    Raises:
        NotRead: there are not as many letters as positions.
    """
    letters = cell.strip().upper()
    if len(letters) != len(positions) or not _LETTERS.fullmatch(letters):
        raise NotRead(MALFORMED, f"{cell!r} is not {len(positions)} letters, one for each of --positions")
    places = [position - offset for position in positions]
    changed = [
        f"{template[place - 1]}{place}{letter}"
        for place, letter in sorted(zip(places, letters, strict=True))
        if template[place - 1] != letter
    ]
    return SEPARATOR.join(changed) or WILD_TYPE
