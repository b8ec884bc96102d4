"""Matching of lines of a split file to the variants of an experiment, by name.

A line names its variant by mutant, in the user's numbering or in that of the template
(`variant_files.numbering` tells them apart), or by sequence if the file has no mutants.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.mutants import canonical_mutants
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.split.split_file import SOURCE, SplitFile
from proteinx_pipelines.variant_files.numbering import fitting_offset, read_mutants

ENOUGH = 0.9
"""Least share of the variants that a file must name, unless `split.allow_unmatched` gives a reason."""
_SHOWN = 20


@dataclass(frozen=True)
class NamedRows:
    """Names of lines and of variants; equal if a line belongs to a variant."""

    lines: pa.Array
    """string [lines]."""
    variants: pa.Array
    """string [N]."""
    lines_by_sequence: pa.Array
    """string [lines]: equal for two mutants with the same sequence."""
    variants_by_sequence: pa.Array
    numbering: Mapping[str, str]
    """Source -> numbering in which its lines were read; empty if they are named by sequence."""
    by: str
    """The column that names the lines."""

    def facts(self, n_matched: int) -> dict[str, Any]:
        """Entries for the split's info, plain JSON."""
        return {
            "matched": n_matched,
            "variants": len(self.variants),
            "matched_by": self.by,
            "numbering": dict(self.numbering),
        }


def name_rows(table: SplitFile, variants: VariantTable, file: Path) -> NamedRows:
    """Name lines and variants in the same way.

    Raises:
        BadSplitFile: mutants of several sources without a column `source`, or in a numbering that is not clear.
    """
    if table.mutants is None:
        own = variants.rows.column("sequence").cast(pa.string()).combine_chunks()
        return NamedRows(table.row_names, own, table.row_names, own, {}, table.named_by)
    source = _sources(table, variants, file)
    mutants, numbering = _in_template(table.mutants, source, variants, file)
    own_mutants, own_source = variants.rows.column("mutant"), variants.rows.column("source")
    return NamedRows(
        lines=_ids(source, mutants),
        variants=variants.rows.column("id").combine_chunks(),
        lines_by_sequence=_ids(source, canonical_mutants(mutants)),
        variants_by_sequence=_ids(own_source, canonical_mutants(own_mutants)),
        numbering=numbering,
        by=table.named_by,
    )


def refuse_few(
    table: SplitFile,
    line: np.ndarray,
    variants: VariantTable,
    file: Path,
    reason: str | None,
) -> None:
    """Refuse a file that names too few of the variants, unless a reason is given.

    Args:
        table: the file.
        line: int64 [N], negative for a variant that no line names.
        variants: N rows.
        file: for the message.
        reason: of `split.allow_unmatched`.

    Raises:
        BadSplitFile: too few are named; the message has both numbers, names of each side, and possible causes.
    """
    missing = np.flatnonzero(line < 0)
    n, n_matched = len(line), len(line) - len(missing)
    if n_matched >= ENOUGH * n or reason is not None:
        return
    examples = ", ".join(variant_names(variants, missing[:3]))
    shown = [text for text in table.row_names[:3].to_pylist() if text]
    raise BadSplitFile(
        f"{file.name} names {n_matched:,} of the {n:,} variants ({n_matched / n:.0%}); at least {ENOUGH:.0%} are "
        f"expected, since a few may match by chance. Variants without a line are {examples}; lines of the file are "
        f"named like {', '.join(map(repr, shown))}.{_advice(table, variants)} If the file covers a part on "
        'purpose, say so: `split.allow_unmatched="why"`.'
    )


def _advice(table: SplitFile, variants: VariantTable) -> str:
    if table.mutants is None:
        return " Sequences are compared letter by letter: they must be as long as the template."
    if len(variants.templates) != 1:
        return ""
    ((source, template),) = variants.templates.items()
    found = fitting_offset(table.mutants.drop_null(), template)
    known = variants.offsets.get(source, 0)
    if found is None or found in (0, known):
        return ""
    return (
        f" All mutants of the file would fit the template with an offset of {found}, and {source} was imported with "
        f"{known}: import it again with `--offset {found}`, or write the file in the numbering of the source."
    )


def _sources(table: SplitFile, variants: VariantTable, file: Path) -> pa.Array:
    """Source of each line: its own, or the only source of the experiment."""
    names = variants.rows.column("source").unique().to_pylist()
    if table.sources is not None and (
        len(names) > 1 or pc.any(pc.is_in(table.sources, pa.array(names))).as_py()
    ):
        return table.sources
    if len(names) > 1:
        raise BadSplitFile(
            f"{file.name} has no column `{SOURCE}`, and the variants are of {len(names)} sources "
            f"({', '.join(sorted(names)[:_SHOWN])}). Add the column: a mutant alone does not name a variant."
        )
    return pa.array([*names, ""][:1] * table.n_lines, pa.string())


def _in_template(
    mutants: pa.Array, source: pa.Array, variants: VariantTable, file: Path
) -> tuple[pa.Array, dict[str, str]]:
    """Mutants of all lines in template positions, and the numbering in which those of each source were read."""
    numbering, problems = {}, []
    for name, template in sorted(variants.templates.items()):
        here = pc.equal(source, name).fill_null(False)
        own = variants.rows.column("mutant").filter(pc.equal(variants.rows.column("source"), name))
        offset = variants.offsets.get(name, 0)
        reading = read_mutants(mutants.filter(here), template, offset, own.combine_chunks())
        numbering[name] = reading.numbering
        if reading.problem:
            problems.append(f"of {name}, {reading.problem}")
        else:
            mutants = pc.replace_with_mask(mutants, here, reading.mutants)
    if problems:
        lines = "\n  ".join(problems)
        raise BadSplitFile(
            f"{file.name} names mutants of a source with two numberings:\n  {lines}\nCorrect the mutants that fit "
            "neither numbering, or name the lines by a column `sequence` in place of `mutant`."
        )
    return mutants, numbering


def _ids(source: pa.Array | pa.ChunkedArray, mutant: pa.Array | pa.ChunkedArray) -> pa.Array:
    ids = pc.binary_join_element_wise(pc.cast(source, pa.string()), pc.cast(mutant, pa.string()), "/")
    return ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
