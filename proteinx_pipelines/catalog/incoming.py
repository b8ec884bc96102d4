"""Read a file of any form for an import: rows to add, rows to leave out, and causes. Writes nothing.

Large files in the plain form are read in batches by `parsing` and `checking`; this reader holds the file in memory, and
is used for every other form and if a row of a plain file is bad.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.catalog.causes import BAD_SCORE, BROKEN, BadRow
from proteinx_pipelines.catalog.checking import GoodRows
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.mutants import parse_mutants
from proteinx_pipelines.variant_files.columns import Roles, find_roles
from proteinx_pipelines.variant_files.combos import check_positions, common_length
from proteinx_pipelines.variant_files.fitting import Numbering, rival_numberings
from proteinx_pipelines.variant_files.forms import read_table, stem_of
from proteinx_pipelines.variant_files.measurements import FurtherColumn, read_measurements
from proteinx_pipelines.variant_files.notation import (
    MISFIT,
    OUT_OF_REACH,
    OUTSIDE,
    is_wild_type_word,
    written_places,
)
from proteinx_pipelines.variant_files.sense import nucleotide_problem, odd_errors, odd_scores, odd_template
from proteinx_pipelines.variant_files.template import TemplateHints, find_template
from proteinx_pipelines.variant_files.text_table import TextTable
from proteinx_pipelines.variant_files.triples import join_triples
from proteinx_pipelines.variant_files.understood import ReadingOptions, Understood
from proteinx_pipelines.variant_files.variants import VariantRows, clean_sequences, read_variants

_FEW_PLACES = 400_000


@dataclass
class Incoming:
    """A file read for an import."""

    path: Path
    template: str
    offset: int
    rows: GoodRows
    further: list[FurtherColumn]
    """Of the good rows."""
    bad: list[BadRow]
    """By line."""
    n_rows: int
    """Number of rows, good and bad."""
    unit: str
    understood: Understood
    odd: list[str] = field(default_factory=list)
    """Warnings about implausible data."""
    nucleotides: str | None = None
    given: Numbering = field(default_factory=lambda: Numbering(0, 0))
    better: list[Numbering] = field(default_factory=list)
    n_placed: int = 0
    """Rows that name a letter and a position, of which the numberings count."""

    @property
    def n_misspelt(self) -> int:
        """Number of bad rows, without unsupported kinds."""
        return sum(row.kind not in OUT_OF_REACH for row in self.bad)

    def as_document(self) -> dict[str, Any]:
        """Facts stored with the source."""
        return {
            **self.understood.as_document(),
            "offset": self.offset,
            "template_residues": len(self.template),
            "rows": len(self.rows.scores),
            "rows_left_out": len(self.bad),
            "odd": self.odd,
        }


def read_incoming(
    path: Path, options: ReadingOptions, template: str | None, offset: int, *, protein: bool = False
) -> Incoming:
    """Read a file for an import.

    Args:
        path: the file.
        options: options of the user.
        template: a sequence, or the path of a file that has it; None: search for it.
        offset: written position minus position in the template.
        protein: treat the letters A, C, G and T as residues in any case.

    Raises:
        CatalogError: it cannot be read, or its columns or template cannot be found.
    """
    table = read_table(path, options).without(options.ignored_columns)
    table.understood.facts = {"file": path.name, **table.understood.facts}
    if options.mutant_column is None:
        join_triples(table)
    roles = find_roles(table, options, str(path), needs_score=table.understood.form != "FASTA")
    _tell_columns(table, roles)
    found = find_template(path, stem_of(path.name), template, _hints(table, roles), offset)
    table.understood.facts["template"] = f"{len(found.sequence):,} residues, {found.origin}"
    table.understood.facts["offset"] = offset
    if options.positions:
        check_positions(options.positions, found.sequence, offset)
    else:
        _refuse_combos(path, table, roles)
    variants = read_variants(table, roles, found.sequence, offset, options.positions)
    measured = read_measurements(table, roles, options.decimal)
    bad = _bad_rows(table, variants, measured.bad)
    keep = np.ones(table.n_rows, bool)
    keep[[row for row, _ in bad]] = False
    rows = GoodRows(
        variants.mutants.filter(pa.array(keep)),
        measured.scores[keep],
        _bins(table, roles).filter(pa.array(keep)),
        variants.counts[keep],
    )
    incoming = Incoming(
        path, found.sequence, offset, rows,
        [FurtherColumn(column.name, column.kind, column.values[keep]) for column in measured.further],
        sorted([*(one for _, one in bad), *(BadRow(line, BROKEN, text) for line, text in table.broken)],
               key=lambda one: one.line),
        table.n_rows + len(table.broken), table.unit, table.understood,
    )  # fmt: skip
    _ask_whether_it_makes_sense(incoming, table, roles, variants, protein=protein)
    return incoming


def _tell_columns(table: TextTable, roles: Roles) -> None:
    told = table.understood.columns
    for role in ("mutant", "score", "bin", "sequence", "source", "deviation", "error", "template"):
        place = getattr(roles, role)
        if place is not None:
            told[role] = table.names[place]
    if roles.values is not None:
        told["number of values"] = table.names[roles.values]
    if roles.named_errors:
        told["errors of scores"] = ", ".join(table.names[place] for place, _ in roles.named_errors)
    if roles.replicates:
        told["replicates"] = ", ".join(table.names[place] for place in roles.replicates)
    if roles.further:
        told["further scores"] = ", ".join(table.names[place] for place in roles.further)
    used = roles.used()
    table.understood.ignored_columns = tuple(
        name for place, name in enumerate(table.names) if place not in used and name
    )


def _hints(table: TextTable, roles: Roles) -> TemplateHints:
    def cells(place: int | None) -> Sequence[str | None] | None:
        if place is None:
            return None
        found: list[str | None] = table.text(place).to_pylist()
        return found

    sequences = None
    if roles.sequence is not None:
        sequences = clean_sequences(table.text(roles.sequence), "").to_pylist()
    mutants = cells(roles.mutant)
    if mutants is None and sequences is not None:
        mutants = _names_of_rows(table, roles)
    return TemplateHints(table.template, cells(roles.template), mutants, sequences)


def _names_of_rows(table: TextTable, roles: Roles) -> Sequence[str | None] | None:
    """If there are only sequences, a column of names may mark one of them as wild type."""
    for place in range(len(table.names)):
        if place not in roles.used():
            cells: list[str | None] = table.text(place).to_pylist()
            if sum(map(is_wild_type_word, cells)) == 1:
                return cells
    return None


def _refuse_combos(path: Path, table: TextTable, roles: Roles) -> None:
    if roles.mutant is None:
        return
    length = common_length(table.text(roles.mutant).to_pylist())
    if length is not None and parse_mutants(table.text(roles.mutant)).malformed.all():
        shown, name = table.text(roles.mutant)[0].as_py(), table.names[roles.mutant]
        raise CatalogError(
            f"{path}: the column {name!r} has {length} letters in every row, such as {shown!r}: residues at {length} "
            f"positions. Say which: --positions {','.join(f'P{k}' for k in range(1, length + 1))}"
        )


def _bins(table: TextTable, roles: Roles) -> pa.Array:
    if roles.bin is None:
        return pa.nulls(table.n_rows, pa.string())
    text = pc.utf8_trim_whitespace(table.text(roles.bin))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _bad_rows(table: TextTable, variants: VariantRows, cells: dict[int, str]) -> list[tuple[int, BadRow]]:
    """Bad rows with all problems of each; the mutant's problem gives the kind."""
    texts: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    for problem in variants.problems:
        texts.setdefault(problem.row, []).append(problem.text)
        kinds.setdefault(problem.row, problem.kind)
    for row, cell in cells.items():
        said = f"the score {cell!r} is not a finite number; leave it empty if it is missing"
        texts.setdefault(row, []).append(said)
        kinds.setdefault(row, BAD_SCORE)
    lines = table.lines
    return [(row, BadRow(int(lines[row]), kinds[row], "; ".join(texts[row]))) for row in sorted(texts)]


def _ask_whether_it_makes_sense(
    incoming: Incoming, table: TextTable, roles: Roles, variants: VariantRows, *, protein: bool
) -> None:
    good = parse_mutants(incoming.rows.mutants)
    residues = {chr(code) for code in np.unique(good.residue)}
    if not protein:
        incoming.nucleotides = nucleotide_problem(incoming.template, residues)
    incoming.odd = [
        *odd_template(incoming.template, np.unique(good.position).tolist()),
        *odd_scores(incoming.rows.scores),
        *(
            said
            for column in incoming.further
            for said in odd_errors(column.name, column.kind, column.values)
        ),
        *_several_sources(table, roles),
    ]
    misfits = any(problem.kind in (MISFIT, OUTSIDE) for problem in variants.problems)
    if misfits and roles.mutant is not None:
        places = _places(table.text(roles.mutant))
        incoming.n_placed = len({row for row, _, _ in places})
        incoming.given, incoming.better = rival_numberings(places, incoming.template, incoming.offset)


def _several_sources(table: TextTable, roles: Roles) -> list[str]:
    """The sentence about rows of several sources in one file."""
    if roles.source is None:
        return []
    found = [name for name in pc.unique(table.text(roles.source)).to_pylist() if name and name.strip()]
    if len(found) < 2:
        return []
    shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    values = f"the column {table.names[roles.source]!r} has {len(found):,} values ({shown})"
    averaged = "all rows become one source, in which scores of a variant under several of them are averaged"
    return [f"{values}, and {averaged}. Import a file for each to keep them apart."]


def _places(text: pa.Array) -> list[tuple[int, str, int]]:
    """Row, letter and position of every mutation, as written."""
    found: list[tuple[int, str, int]] = []
    for row, cell in enumerate(text.to_pylist()):
        found += [(row, letter, position) for letter, position in written_places(cell or "")]
        if len(found) > _FEW_PLACES:
            break
    return found
