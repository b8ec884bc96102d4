"""Given libraries: files of variants in any form that the import reads."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.edits import has_indels
from proteinx_pipelines.errors import BadVariants, CatalogError
from proteinx_pipelines.mutants import WILD_TYPE, renumbered
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of, distinct, joined
from proteinx_pipelines.variant_files.columns import find_roles
from proteinx_pipelines.variant_files.forms import read_table
from proteinx_pipelines.variant_files.understood import ReadingOptions
from proteinx_pipelines.variant_files.variants import read_variants

_SHOWN = 10
_UNUSUAL = f"[^0-9:{AMINO_ACIDS}]"
"""In a mutant's name that may be no substitution by one of the twenty residues."""


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
    try:
        table = read_table(file)
        roles = find_roles(table, ReadingOptions(), file.name, needs_score=False)
    except CatalogError as error:
        raise error.with_remedy(
            "No options are taken here: call the columns `mutant` or `sequence`."
        ) from error
    rows = read_variants(table, roles, template, offset)
    bad = [(int(table.lines[problem.row]), problem.text) for problem in rows.problems]
    bad += [
        *table.broken,
        *((int(table.lines[row]), text) for row, text in _not_designable(rows.mutants, offset)),
    ]
    if bad:
        texts = [f"{table.unit} {line}: {text}" for line, text in sorted(bad)]
        more = f"; and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
        raise BadVariants(
            f"{file.name} has rows that are no variant of {source}: {'; '.join(texts[:_SHOWN])}{more}. Correct or "
            "remove them."
        )
    return candidates_of(source, template, rows.mutants)


def _not_designable(mutants: pa.Array, offset: int) -> list[tuple[int, str]]:
    """Rows that are variants, but no substitutions by the twenty residues, and why; names as the user numbers them."""
    looked = pc.indices_nonzero(pc.match_substring_regex(mutants, _UNUSUAL).fill_null(False))
    found = []
    for row, name in zip(
        looked.to_pylist(), renumbered(mutants.take(looked), offset).to_pylist(), strict=True
    ):
        if has_indels(name):
            found.append((row, f"{name!r} has an insertion or deletion; substitutions are expected"))
        elif unknown := strange_residues(name):
            found.append((row, f"{name!r} puts in {unknown}; one of {AMINO_ACIDS} is expected"))
    return found


def strange_residues(mutant: str) -> str:
    """Letters in a mutant that are none of the twenty residues; empty if all are."""
    return (
        ", ".join(sorted({part[-1] for part in mutant.split(":")} - set(AMINO_ACIDS)))
        if mutant != WILD_TYPE
        else ""
    )
