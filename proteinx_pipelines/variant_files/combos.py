"""Cells such as `VDGV`: letters at fixed positions that the file does not name, common for libraries of few sites."""

import re
from collections.abc import Sequence

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.mutants import SEPARATOR, WILD_TYPE
from proteinx_pipelines.variant_files.notation import MALFORMED, NotRead

_LONGEST = 12
_LETTERS = re.compile("[A-Za-z*]+")


def common_length(cells: Sequence[str | None]) -> int | None:
    """Common length of all cells if they consist of letters only and are equally long; else None."""
    found = [cell.strip() for cell in cells if cell and cell.strip()]
    lengths = {len(cell) for cell in found}
    if len(lengths) != 1 or not all(_LETTERS.fullmatch(cell) for cell in found):
        return None
    (length,) = lengths
    return length if 2 <= length <= _LONGEST and len(set(found)) > 1 else None


def check_positions(positions: Sequence[int], template: str, offset: int) -> None:
    """Check that positions as written lie in the template, each once.

    Raises:
        CatalogError: a position is outside the template or repeated.
    """
    outside = [place for place in positions if not 1 <= place - offset <= len(template)]
    if outside or len(set(positions)) != len(positions):
        found = f"{outside[0]} lies outside the template" if outside else "one of them comes twice"
        raise CatalogError(
            f"--positions {','.join(map(str, positions))}: {found}; positions from {1 + offset} to "
            f"{len(template) + offset} are expected, each once."
        )


def mutant_of_combo(cell: str, positions: Sequence[int], template: str, offset: int) -> str:
    """Convert letters to a mutant in template positions: `IDGV` at 39, 40, 41, 54 is `V39I`.

    Raises:
        NotRead: the numbers of letters and positions differ.
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
