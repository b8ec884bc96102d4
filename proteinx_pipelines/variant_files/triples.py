"""Mutants in three columns, `site`, `wildtype` and `mutation`, as in sequencing counts: joined into one column.

Applied only if the cells are whole numbers and single residues.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.variant_files.column_names import plain_name
from proteinx_pipelines.variant_files.text_table import TextTable

_SITE = (
    "site",
    "position",
    "pos",
    "resi",
    "residuenumber",
    "aapos",
    "aaposition",
    "mutationposition",
    "sitenumber",
)
_NEW = (
    "mutation",
    "mut",
    "mutant",
    "mutaa",
    "aamut",
    "alt",
    "aaalt",
    "altaa",
    "mutantaa",
    "mutatedaa",
    "newaa",
    "toaa",
)
_OLD = (
    "wildtype",
    "wt",
    "wtaa",
    "aawt",
    "ref",
    "aaref",
    "refaa",
    "wildtypeaa",
    "wtresidue",
    "fromaa",
    "wild",
)
_RESIDUE = re.compile(r"[A-Za-z*=\-]|[A-Za-z]{3}|del|stop", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,7}")
_ROWS_LOOKED_AT = 500


def join_triples(table: TextTable) -> None:
    """Replace site and residue columns by a column `mutant` if a table has them and no mutants."""
    site, new = _find(table, _SITE, _NUMBER), _find(table, _NEW, _RESIDUE)
    if site is None or new is None or site == new:
        return
    old = _find(table, _OLD, _RESIDUE)
    parts = [place for place in (old, site, new) if place is not None]
    names = ", ".join(repr(table.names[place]) for place in parts)
    cells = [pc.utf8_trim_whitespace(table.text(place)) for place in parts]
    joined = pc.binary_join_element_wise(*cells, "")
    table.columns = [column for place, column in enumerate(table.columns) if place not in parts] + [joined]
    table.names = [name for place, name in enumerate(table.names) if place not in parts] + ["mutant"]
    table.understood.notes.append(f"mutants are put together from the columns {names}")


def _find(table: TextTable, names: tuple[str, ...], form: re.Pattern[str]) -> int | None:
    """Only column with one of these names whose cells all have the form."""
    found = [
        place
        for place, name in enumerate(table.names)
        if plain_name(name) in names and _all(table.text(place)[:_ROWS_LOOKED_AT], form)
    ]
    return found[0] if len(found) == 1 else None


def _all(cells: pa.Array, form: re.Pattern[str]) -> bool:
    filled = [cell.strip() for cell in cells.to_pylist() if cell and cell.strip()]
    return bool(filled) and bool(np.all([form.fullmatch(cell) is not None for cell in filled]))
