"""Conversion between the user's numbering of a source and the positions of its template.

Internally, positions (also those in ids) count from 1 in the template. Output and input for users have the numbering of
the imported file: a source stores its offset (position as written minus position in the template), and this module
converts. `offsets` is source -> offset; a source that is not in it has 0. `variant_files.numbering` finds out which
numbering a file uses.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.records import VariantTable

TEMPLATE_MUTANT = "template_mutant"
"""Column of a table for users: the mutant in template positions, after `mutant`, if the two differ."""


def as_written(
    mutants: pa.Array | pa.ChunkedArray, sources: pa.Array | pa.ChunkedArray, offsets: Mapping[str, int]
) -> pa.Array:
    """Convert mutants from template positions to the user's numbering: string [n]."""
    return _moved(mutants, sources, offsets)


def as_in_template(
    mutants: pa.Array | pa.ChunkedArray, sources: pa.Array | pa.ChunkedArray, offsets: Mapping[str, int]
) -> pa.Array:
    """Convert mutants from the user's numbering to template positions: string [n]."""
    return _moved(mutants, sources, {name: -offset for name, offset in offsets.items()})


def for_people(rows: pa.Table, offsets: Mapping[str, int]) -> pa.Table:
    """Convert a table with `source` and `mutant` for users: `mutant` as written, then `template_mutant`.

    Returns the table itself if every offset is 0.
    """
    if not any(offsets.values()):
        return rows
    place = rows.column_names.index("mutant")
    written = as_written(rows.column("mutant"), rows.column("source"), offsets)
    return rows.set_column(place, "mutant", written).add_column(
        place + 1, TEMPLATE_MUTANT, rows.column("mutant")
    )


def from_people(rows: pa.Table) -> pa.Table:
    """Undo `for_people`."""
    if TEMPLATE_MUTANT not in rows.column_names:
        return rows
    template = rows.column(TEMPLATE_MUTANT)
    return rows.drop_columns([TEMPLATE_MUTANT]).set_column(
        rows.column_names.index("mutant"), "mutant", template
    )


def names_of(rows: pa.Table, offsets: Mapping[str, int], chosen: np.ndarray | Sequence[int]) -> list[str]:
    """Names for messages of some rows of a table with `source` and `mutant`: `<source>/<mutant as written>`."""
    some = rows.select(["source", "mutant"]).take(pa.array(np.asarray(chosen, np.int64)))
    written = as_written(some.column("mutant"), some.column("source"), offsets)
    return [
        f"{source}/{mutant}"
        for source, mutant in zip(some.column("source").to_pylist(), written.to_pylist(), strict=True)
    ]


def variant_names(variants: VariantTable, chosen: np.ndarray | Sequence[int]) -> list[str]:
    """Names for messages of some rows of a variant table; their ids if all offsets are 0."""
    if not any(variants.offsets.values()):
        ids: list[str] = variants.rows.column("id").take(pa.array(np.asarray(chosen, np.int64))).to_pylist()
        return ids
    return names_of(variants.rows, variants.offsets, chosen)


def offsets_in_words(offsets: Mapping[str, int]) -> str:
    """Describe how the user's numbering differs from the template's; empty if it does not."""
    shifted = {name: offset for name, offset in sorted(offsets.items()) if offset}
    return "; ".join(
        f"positions of {name} are {offset:+d} of the template's" for name, offset in shifted.items()
    )


def _moved(
    mutants: pa.Array | pa.ChunkedArray, sources: pa.Array | pa.ChunkedArray, by: Mapping[str, int]
) -> pa.Array:
    result = renumbered(mutants, 0)
    for name, offset in by.items():
        if offset:
            here = pc.equal(sources, name).fill_null(False)
            here = pa.concat_arrays(here.chunks) if isinstance(here, pa.ChunkedArray) else here
            result = pc.replace_with_mask(result, here, renumbered(result.filter(here), offset))
    return result
