"""Given libraries: files of variants in any form that the import reads."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants, CatalogError
from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of, distinct, joined
from proteinx_pipelines.variant_files.columns import find_roles
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.understood import ReadingOptions
from proteinx_pipelines.variant_files.variants import read_variants

_SHOWN = 10
_STRANGE = f"[0-9][^0-9{AMINO_ACIDS}]"
"""A residue in a mutant that is none of the twenty."""


def from_files(files: Sequence[Path], source: str, template: str, offset: int) -> Candidates:
    """Read variants from at least one file, in the user's numbering of the source; each variant once.

    Raises:
        BadVariants: rows that are no variant of the template; the first of each file are named.
        CatalogError: the only file cannot be read as a table of variants; of several, BadVariants says it too.
    """
    pieces: list[Candidates] = []
    refused: list[tuple[Path, BadVariants | CatalogError]] = []
    for file in files:
        try:
            pieces.append(read_file(file, source, template, offset))
        except (BadVariants, CatalogError) as error:
            refused.append((file, error))
    if len(refused) == 1 and len(files) == 1:
        raise refused[0][1]
    if refused:
        alike = Counter(file.name for file in files)
        raise BadVariants(
            " ".join(f"{file}: {error}" if alike[file.name] > 1 else str(error) for file, error in refused)
        )
    return distinct(joined(pieces))


def read_file(file: Path, source: str, template: str, offset: int) -> Candidates:
    """Read variants from any file.

    Raises:
        BadVariants: rows that are no variant of the template, or have insertions or deletions; the first are named.
        CatalogError: the file cannot be read as a table of variants.
    """
    table = read_table(file)
    roles = find_roles(table, ReadingOptions(), file.name, needs_score=False)
    rows = read_variants(table, roles, template, offset)
    lines = [*table.broken, *((int(table.lines[each.row]), each.text) for each in rows.problems)]
    bad = [f"{table.unit} {line}: {text}" for line, text in sorted(lines)]
    longer = pc.match_substring_regex(rows.mutants, "del|ins").fill_null(False)
    if pc.any(longer).as_py():
        bad.append(
            f"{pc.sum(longer).as_py():,} variants have insertions or deletions; designs are substitutions"
        )
    strange = pc.match_substring_regex(rows.mutants, _STRANGE).fill_null(False)
    bad += [
        f"{name!r} puts in {strange_residues(name)}"
        for name in rows.mutants.filter(pc.and_not(strange, longer)).to_pylist()
    ]
    if bad:
        shown = "; ".join(bad[:_SHOWN]) + (f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else "")
        raise BadVariants(
            f"{file.name} has rows that are no variant of {source}: {shown}. Correct or remove them."
        )
    return candidates_of(source, template, rows.mutants.drop_null())


def strange_residues(mutant: str) -> str:
    """Letters in a mutant that are none of the twenty residues; empty if all are."""
    return (
        ", ".join(sorted({part[-1] for part in mutant.split(":")} - set(AMINO_ACIDS)))
        if mutant != WILD_TYPE
        else ""
    )
