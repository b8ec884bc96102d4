"""Given libraries: files of variants in any form that the import reads."""

from pathlib import Path

import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.variant_files.columns import find_roles
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.understood import ReadingOptions
from proteinx_pipelines.variant_files.variants import read_variants

_SHOWN = 10
_LOOKED_AT = 1_000_000


def from_file(file: Path | None, source: str, template: str, offset: int) -> Candidates:
    """Read variants from a file, in the user's numbering of the source.

    Raises:
        BadVariants: rows that are no variant of the template; the first of them are named.
    """
    assert file is not None  # the flags demand it
    return read_file(file, source, template, offset)


def read_file(file: Path, source: str, template: str, offset: int) -> Candidates:
    """Read variants from any file.

    Raises:
        BadVariants: rows that are no variant of the template, or have insertions or deletions; the first are named.
        CatalogError: the file cannot be read as a table of variants.
    """
    table = read_table(file)
    roles = find_roles(table, ReadingOptions(), file.name, needs_score=False)
    rows = read_variants(table, roles, template, offset)
    bad = [f"{table.unit} {problem.row + 1}: {problem.text}" for problem in rows.problems]
    longer = pc.match_substring_regex(rows.mutants, "del|ins").fill_null(False)
    if pc.any(longer).as_py():
        bad.append(
            f"{pc.sum(longer).as_py():,} variants have insertions or deletions; designs are substitutions"
        )
    known = rows.mutants.drop_null()
    bad += [
        f"{name!r} puts in {found}"
        for name in known.to_pylist()[:_LOOKED_AT]
        if (found := strange_residues(name))
    ]
    if bad:
        shown = "; ".join(bad[:_SHOWN]) + (f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")
        raise BadVariants(
            f"{file.name} has rows that are no variant of {source}: {shown}. Correct or remove them."
        )
    return candidates_of(source, template, known)


def strange_residues(mutant: str) -> str:
    """Letters in a mutant that are none of the twenty residues; empty if all are."""
    return (
        ", ".join(sorted({part[-1] for part in mutant.split(":")} - set(AMINO_ACIDS)))
        if mutant != WILD_TYPE
        else ""
    )
