"""`proteinx db import`: its options, and the text printed before and after a file is imported.

Parses arguments and prints; `catalog` does the work.
"""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.terminal import say
from proteinx_pipelines.csv_cells import safe_cell
from proteinx_pipelines.errors import CatalogError

if TYPE_CHECKING:
    from proteinx_pipelines.catalog.importing import ImportReport


class PositionList(click.ParamType[tuple[int, ...]]):
    """Parameter type: comma-separated whole numbers, `39,40,41,54`."""

    name = "positions"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse the numbers."""
        try:
            return tuple(int(part) for part in str(value).replace(" ", ",").split(",") if part)
        except ValueError:
            self.fail(f"{value!r} is not a list of positions such as 39,40,41,54", param, ctx)


class Share(click.ParamType[float]):
    """Parameter type: a fraction between 0 and 1, as `5%` or `0.05`."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the fraction."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is not a fraction such as 5% or 0.05", param, ctx)
        return share


_READING_OPTIONS = (
    click.option(
        "--template", help="Template sequence that positions refer to, or a FASTA, JSON or text file with it."
    ),
    click.option("--mutant-column", help="Column of mutants; detected by name or content if omitted."),
    click.option("--score-column", help="Column of scores."),
    click.option(
        "--scores",
        help="Columns of several properties, a,b: the first is the score, `data.score` can select others.",
    ),
    click.option("--further-column", multiple=True, help="Column of another property's scores; repeatable."),
    click.option("--bin-column", help="Column of binned scores (optional)."),
    click.option("--sequence-column", help="Column of full sequences."),
    click.option(
        "--offset",
        type=int,
        help="Subtract this from every position of the file; `offset` of the JSON file beside it if omitted, else 0.",
    ),
    click.option(
        "--positions",
        type=PositionList(),
        help="Positions of the letters in cells such as VDGV: 39,40,41,54.",
    ),
    click.option("--separator", help="Column separator: one character, `tab` or `blank`."),
    click.option("--decimal", type=click.Choice([".", ","]), help="Decimal mark of the scores."),
    click.option("--encoding", help="Text encoding, such as utf-16 or gb18030."),
    click.option("--sheet", help="Sheet of a workbook, or file in a zip archive."),
    click.option("--protein", is_flag=True, help="The letters A, C, G and T are residues, not nucleotides."),
)


def reading_options(command: Any) -> Any:
    """Everything the user can state about a file before it is read."""
    for option in reversed(_READING_OPTIONS):
        command = option(command)
    return command


def import_one(
    database: Path,
    file: Path,
    name: str | None,
    options: dict[str, Any],
    *,
    dry_run: bool,
    bad_rows: Path | None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Import one file or print how it is read, and write its bad rows to a file if requested.

    Returns:
        What was done, as JSON types. With `quiet` nothing is printed.

    Raises:
        CatalogError: it is refused; nothing was imported.
    """
    from proteinx_pipelines.catalog.importing import import_file
    from proteinx_pipelines.variant_files.understood import ReadingOptions

    arguments = dict(options)
    fields = (
        "mutant_column",
        "score_column",
        "bin_column",
        "sequence_column",
        "separator",
        "decimal",
        "encoding",
    )
    said = {field: arguments.pop(field) for field in (*fields, "sheet")}
    properties = [part.strip() for part in (arguments.pop("scores") or "").split(",") if part.strip()]
    if properties and said["score_column"] is None:
        said["score_column"] = properties[0]
    named = (*properties, *arguments.pop("further_column"))
    further = tuple(dict.fromkeys(each for each in named if each != said["score_column"]))
    positions = arguments.pop("positions") or ()
    reading = ReadingOptions(**said, further_columns=further, positions=positions)
    try:
        if dry_run:
            return _look(file, reading, arguments, quiet=quiet)
        report = import_file(database, file, name=name, options=reading, **arguments)
    except CatalogError as error:
        _write_bad_rows(bad_rows, error.rows)
        raise
    _write_bad_rows(bad_rows, report.problems)
    if not quiet:
        print_report(report, database)
    return {"file": file, "imported": True, "database": database, **dataclasses.asdict(report)}


def _look(file: Path, reading: Any, arguments: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Print how a file is read; an import that would be refused is refused here too."""
    from proteinx_pipelines.catalog.causes import sentences
    from proteinx_pipelines.catalog.importing import look_at_file
    from proteinx_pipelines.catalog.refusing import refusal

    wanted = {key: arguments[key] for key in ("template", "offset", "protein")}
    incoming = look_at_file(file, options=reading, **wanted)
    if not quiet:
        _print_look(incoming)
    refused = refusal(incoming, skip_bad=arguments["skip_bad"], most_bad=arguments["most_bad"])
    if refused is not None:
        raise refused
    causes = sentences(incoming.bad, incoming.unit)
    if not quiet:
        _print_all(causes)
        click.echo("Nothing was imported (--dry-run).")
    return {
        "file": file, "imported": False, "rows": len(incoming.rows.scores), "rows_left_out": len(incoming.bad),
        "causes": causes, "odd": incoming.odd, "understood": incoming.understood.as_lines(),
    }  # fmt: skip


def _print_look(incoming: Any) -> None:
    for line in incoming.understood.as_lines():
        click.echo(line)
    click.echo(f"rows to import: {len(incoming.rows.scores):,}")
    for column in incoming.further:
        say(f"kept beside the score: {column.name} ({column.kind})")
    if incoming.bad:
        click.echo(f"rows to leave out: {len(incoming.bad):,}")
    _print_odd(incoming.odd)


def print_report(report: "ImportReport", database: Path) -> None:
    """Print the outcome of an import."""
    done = "Replaced" if report.replaced else "Imported"
    missing = f", {report.missing_scores:,} without a score" if report.missing_scores else ""
    say(f"{done} {report.source}: {report.rows:,} rows{missing} -> {database}")
    print_notes(report.understood)
    if report.problems:
        click.echo(f"Skipped {int(report.understood['rows_left_out']):,} bad rows:", err=True)
        _print_all(report.causes)


def print_notes(understood: Mapping[str, Any]) -> None:
    """Print, on standard error, what was guessed in reading a file, and what is odd about its data."""
    for note in understood.get("notes", ()):
        say(f"Note: {note}.", err=True)
    _print_odd(understood.get("odd", ()))


def _print_all(found: Sequence[str]) -> None:
    for sentence in found:
        say(f"  {sentence}", err=True)


def _print_odd(odd: Sequence[str]) -> None:
    for sentence in odd:
        say(f"Check the data: {sentence[0].upper()}{sentence[1:]}", err=True)


def _write_bad_rows(target: Path | None, rows: Sequence[str]) -> None:
    if target is None:
        return
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("where", "reason"))
        writer.writerows(map(safe_cell, row.split(": ", 1)) for row in rows)
