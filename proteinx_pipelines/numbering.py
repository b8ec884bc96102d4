"""The numbering in which people write the positions of a source, beside that of its template.

Inside, positions count from 1 in the template; ids too. Whatever people read or write has the numbering of their own
file: a source remembers its offset (position as written less position in the template), and this module leads from one
to the other. `offsets` is source -> offset; a source that is not in it has 0. Which of the two a file of theirs is
written in is `variant_files.numbering`'s question.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.records import VariantTable

TEMPLATE_MUTANT = "template_mutant"
"""Column of a table for people: the mutant in positions of the template, behind `mutant` where the two differ."""


def as_written(
    mutants: pa.Array | pa.ChunkedArray, sources: pa.Array | pa.ChunkedArray, offsets: Mapping[str, int]
) -> pa.Array:
    """Mutants of the template in the numbering of the people of their sources: string [n]."""
    return _moved(mutants, sources, offsets)


def as_in_template(
    mutants: pa.Array | pa.ChunkedArray, sources: pa.Array | pa.ChunkedArray, offsets: Mapping[str, int]
) -> pa.Array:
    """Mutants as the people of their sources write them, in positions of the template: string [n]."""
    return _moved(mutants, sources, {name: -offset for name, offset in offsets.items()})


def for_people(rows: pa.Table, offsets: Mapping[str, int]) -> pa.Table:
    """A table with `source` and `mutant` as people read it: `mutant` as written, `template_mutant` behind it.

    The table itself where every offset is 0.
    """
    if not any(offsets.values()):
        return rows
    place = rows.column_names.index("mutant")
    written = as_written(rows.column("mutant"), rows.column("source"), offsets)
    return rows.set_column(place, "mutant", written).add_column(
        place + 1, TEMPLATE_MUTANT, rows.column("mutant")
    )


def from_people(rows: pa.Table) -> pa.Table:
    """The table that `for_people` was given."""
    if TEMPLATE_MUTANT not in rows.column_names:
        return rows
    template = rows.column(TEMPLATE_MUTANT)
    return rows.drop_columns([TEMPLATE_MUTANT]).set_column(
        rows.column_names.index("mutant"), "mutant", template
    )


def names_of(rows: pa.Table, offsets: Mapping[str, int], chosen: np.ndarray | Sequence[int]) -> list[str]:
    """`<source>/<mutant as written>` of some rows of a table with `source` and `mutant`: what a message calls them."""
    some = rows.select(["source", "mutant"]).take(pa.array(np.asarray(chosen, np.int64)))
    written = as_written(some.column("mutant"), some.column("source"), offsets)
    return [
        f"{source}/{mutant}"
        for source, mutant in zip(some.column("source").to_pylist(), written.to_pylist(), strict=True)
    ]


def variant_names(variants: VariantTable, chosen: np.ndarray | Sequence[int]) -> list[str]:
    """The same of some rows of a variant table: their ids where nobody counts otherwise."""
    if not any(variants.offsets.values()):
        ids: list[str] = variants.rows.column("id").take(pa.array(np.asarray(chosen, np.int64))).to_pylist()
        return ids
    return names_of(variants.rows, variants.offsets, chosen)


def offsets_in_words(offsets: Mapping[str, int]) -> str:
    """How the numbering of people differs from the template's: empty where it does not."""
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
