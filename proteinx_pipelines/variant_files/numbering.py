"""Detection of a file's numbering: the user's numbering of the source, or that of its template.

A source imported with an offset has both. Mutants of one, read in the other, still name some variants, but wrong ones,
so the numbering is never guessed row by row. The wild-type letters decide, or else that only one numbering names all
variants; if neither decides, the file is not read.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.mutants import WILD_TYPE, canonical_mutants, parse_mutants, renumbered
from proteinx_pipelines.variant_files.columns import Roles
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.understood import Understood
from proteinx_pipelines.variant_files.variants import read_variants

AS_WRITTEN, TEMPLATE = "the source's own", "the template's"
CLEAR_SHARE = 0.9
"""Least share of mutants that must fit the template for a numbering to be accepted if not all fit."""


@dataclass(frozen=True)
class Reading:
    """Mutants of a file, read in one numbering."""

    mutants: pa.Array
    """string [n], in positions of the template."""
    numbering: str
    """`AS_WRITTEN` or `TEMPLATE`; the latter also if the source has no offset."""
    problem: str | None = None
    """Reason why the numbering is not known, as a clause; `mutants` are then invalid."""


@dataclass(frozen=True)
class _Candidate:
    """Mutants of a file read in one numbering, and their fit."""

    reading: Reading
    fitting: int
    """Number of mutants whose letters match the template."""
    names_all: bool
    """True if it names every variant of the experiment."""


def read_mutants(mutants: pa.Array, template: str, offset: int, own: pa.Array) -> Reading:
    """Read the mutants of a file that belong to one source, in any notation.

    Args:
        mutants: string [n]; null and malformed ones fit nothing.
        template: of the source.
        offset: position in the user's numbering minus position in the template.
        own: the experiment's variants of that source, string, in template positions.
    """
    plain = in_template(mutants, template, 0)
    if not offset:
        return Reading(plain, TEMPLATE)
    named = canonical_mutants(own)
    written = _candidate(in_template(mutants, template, offset), AS_WRITTEN, template, named)
    unmoved = _candidate(plain, TEMPLATE, template, named)
    n = _n_mutated(written.reading.mutants)
    better, other = (written, unmoved) if written.fitting >= unmoved.fitting else (unmoved, written)
    if better.fitting == other.fitting and written.names_all != unmoved.names_all:
        return (written if written.names_all else unmoved).reading
    if n == 0 or (better.fitting == n and other.fitting < n):
        return better.reading
    if better.fitting >= CLEAR_SHARE * n and other.fitting <= better.fitting / 2:
        return better.reading
    found = (
        f"{written.fitting:,} of its {n:,} mutants fit the template counted as the source is (offset {offset:+d}), "
        f"{unmoved.fitting:,} counted from 1"
    )
    return Reading(mutants, TEMPLATE, problem=f"it does not show in which numbering it is: {found}")


def in_template(mutants: pa.Array, template: str, offset: int) -> pa.Array:
    """Convert mutants to template positions; fitting mutants in other notations are rewritten in the plain one.

    Unreadable texts are unchanged, and are no mutants of the template.
    """
    moved = renumbered(mutants, -offset)
    is_other = parse_mutants(moved).malformed
    if offset and is_other.any():  # a plain mutant outside the template is not another notation
        is_other &= parse_mutants(mutants).malformed
    other = pa.array(is_other & np.asarray(mutants.is_valid()))
    texts = mutants.filter(other)
    if not len(texts):
        return moved
    table = TextTable(["mutant"], [texts], np.arange(len(texts)), Understood("mutants"))
    read = read_variants(table, Roles(mutant=0), template, offset).mutants
    return pc.replace_with_mask(moved, other, pc.coalesce(read, moved.filter(other)))


def fitting_offset(mutants: pa.Array, template: str) -> int | None:
    """Offset under which all mutants fit the template; None if there is none, or several."""
    table = parse_mutants(mutants)
    seen = np.unique(table.position * 256 + table.wild_type)
    if not len(seen) or table.malformed.any():
        return None
    positions, letters = np.divmod(seen, 256)
    known = np.frombuffer(template.encode("ascii", "replace"), np.uint8)
    candidates = range(int(positions[-1]) - len(known), int(positions[0]))
    fitting = [offset for offset in candidates if (known[positions - offset - 1] == letters).all()]
    return fitting[0] if len(fitting) == 1 else None


def _candidate(mutants: pa.Array, numbering: str, template: str, own: pa.Array) -> _Candidate:
    table = parse_mutants(mutants)
    letters = np.frombuffer(template.encode("ascii", "replace"), np.uint8)
    inside = (table.position >= 1) & (table.position <= len(letters))
    found = letters[np.where(inside, table.position - 1, 0)]
    bad = table.malformed.copy()
    bad[table.row[~inside | (found != table.wild_type)]] = True
    fitting = int((~bad & (table.counts > 0)).sum())
    names_all = bool(pc.all(pc.is_in(own, canonical_mutants(mutants))).as_py())
    return _Candidate(Reading(mutants, numbering), fitting, names_all)


def _n_mutated(mutants: pa.Array) -> int:
    """Number of rows that name a mutant."""
    n_wild_types = int(pc.sum(pc.equal(mutants, WILD_TYPE)).as_py() or 0)
    return int(len(mutants) - mutants.null_count - n_wild_types)
