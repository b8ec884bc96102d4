"""`proteinx db`: import measured variants into the catalog and inspect it.

Parses arguments and prints; `catalog` does the work.
"""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from proteinx_pipelines.cli.at_master import is_from_environment, master_option
from proteinx_pipelines.cli.completing import source_names
from proteinx_pipelines.cli.db_align import align
from proteinx_pipelines.cli.db_attach import attach
from proteinx_pipelines.cli.db_import import Share, import_one, print_report, reading_options
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.terminal import say
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.visible import one_line

if TYPE_CHECKING:
    from proteinx_pipelines.catalog.listing import SourceDetails, SourceSummary

_PATH = click.Path(path_type=Path, dir_okay=False)
_BAR_WIDTH = 40


def _database_option(command: Any) -> Any:
    text = "The catalog; database.db of the WORKDIR if omitted."
    return click.option("--database", type=_PATH, help=text)(command)


@click.group("db")
def db() -> None:
    """Import and inspect measured variants."""


db.add_command(attach)
db.add_command(align)


@db.command("import")
@click.argument("files", nargs=-1, required=True, type=_PATH)
@click.option("--name", help="Name of the source; the file's name without its suffix if omitted.")
@reading_options
@click.option("--skip-bad", is_flag=True, help="Import the valid rows and report why others were left out.")
@click.option(
    "--most-bad",
    type=Share(),
    default="5%",
    show_default=True,
    help="Largest fraction of bad rows that --skip-bad leaves out.",
)
@click.option("--bad-rows", type=_PATH, help="Write every bad row with its line and reason to this CSV.")
@click.option("--dry-run", is_flag=True, help="Print how the file is read, and import nothing.")
@click.option("--replace", is_flag=True, help="Replace an existing source of this name.")
@master_option
@json_option
@_database_option
def import_(
    files: tuple[Path, ...],
    name: str | None,
    database: Path | None,
    *,
    master_url: str | None,
    dry_run: bool,
    bad_rows: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Import FILES of measured variants: CSV, TSV, XLSX, Parquet, Feather, JSON or FASTA, optionally compressed.

    Each file becomes one source; either all of its rows are imported or none. The format is detected from the file's
    content; --dry-run shows it without importing. docs/data.md has an example of each format.

    With --master each file is uploaded as a data set of the Master, by which jobs name it (`dataset`). Options about
    the catalog here import into it, also where PROTEINX_MASTER is set.
    """
    if name is not None and len(files) > 1:
        raise click.UsageError("--name names one source; import the files one by one.")
    of_catalog = _options_of_a_catalog()
    if master_url is not None and not (of_catalog and is_from_environment()):
        from proteinx_pipelines.cli.import_at_master import import_there, refuse_options_of_a_catalog

        refuse_options_of_a_catalog(of_catalog)
        reading = {option: value for option, value in options.items() if option not in OF_A_CATALOG}
        done = import_there(master_url, files, name, reading, quiet=as_json)
        if as_json:
            print_json(done)
        return
    target = database or load_settings().database_path
    done = [
        import_one(target, file, name, options, dry_run=dry_run, bad_rows=bad_rows, quiet=as_json)
        for file in files
    ]
    if as_json:
        print_json(done)


OF_A_CATALOG = ("dry_run", "replace", "bad_rows", "database", "most_bad")
"""Options of `import` that are about the catalog here."""


def _options_of_a_catalog() -> list[str]:
    """Those of them that were given."""
    source = click.get_current_context().get_parameter_source
    return [name for name in OF_A_CATALOG if source(name) is ParameterSource.COMMANDLINE]


@db.command("fetch")
@click.argument("name")
@click.option(
    "--from",
    "mirror",
    envvar="PROTEINX_MIRROR",
    help="Folder or URL used instead of the published one.",
)
@click.option("--as", "source", help="Name of the source; the data set's own if omitted.")
@click.option("--template", help="Template sequence, for data sets without one.")
@click.option("--replace", is_flag=True, help="Replace an existing source of this name.")
@click.option(
    "--skip-bad", is_flag=True, help="Leave out rows that cannot be represented, such as frame shifts."
)
@json_option
@_database_option
def fetch(name: str, mirror: str | None, database: Path | None, *, as_json: bool, **options: Any) -> None:
    """Fetch the data set NAME and import it.

    proteingym:DMS_ID, proteingym-indels:DMS_ID, flip:DATASET/SPLIT, flip2:DATASET/SPLIT, or urn:mavedb:... for a
    MaveDB score set. Checksum, licence and citation are stored with the source.
    """
    from proteinx_pipelines.catalog.fetching_named import fetch_named

    path = database or load_settings().database_path
    report = fetch_named(path, name, mirror=mirror, **options)
    if as_json:
        print_json({"database": path, **dataclasses.asdict(report)})
        return
    print_report(report, path)
    say(f"From {report.understood['address']}, SHA-256 {report.understood['sha256']}")
    say(f"Licence: {report.understood['licence']}. Cite: {report.understood['citation']}")


@db.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_database_option
def list_(as_json: bool, database: Path | None) -> None:
    """List the sources of the catalog."""
    from proteinx_pipelines.catalog.listing import list_sources

    path = database or load_settings().database_path
    sources = list_sources(path)
    if as_json:
        _print_json([dataclasses.asdict(source) for source in sources])
    elif sources:
        _print_sources(sources)
    else:
        click.echo(f"{path} has no sources yet. `proteinx db import FILE...` adds one.")


@db.command("show")
@click.argument("name", shell_complete=source_names)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_database_option
def show(name: str, as_json: bool, database: Path | None) -> None:
    """Show the source NAME: template, scores, mutation counts and first rows."""
    from proteinx_pipelines.catalog.listing import show_source

    details = show_source(database or load_settings().database_path, name)
    if as_json:
        _print_json(dataclasses.asdict(details))
    else:
        _print_details(details)


@db.command("describe")
@click.argument("name", shell_complete=source_names)
@click.option("--html", type=_PATH, help="Write an HTML page to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_database_option
def describe(name: str, html: Path | None, as_json: bool, database: Path | None) -> None:
    """Describe the source NAME: scores, covered positions, replicates and anomalies."""
    from proteinx_pipelines.catalog.describing import describe_source
    from proteinx_pipelines.cli.db_describe import described_lines, description_page

    found = describe_source(database or load_settings().database_path, name)
    if html is not None:
        html.write_text(description_page(found), encoding="utf-8")
        say(f"Wrote {html}")
    elif as_json:
        _print_json(dataclasses.asdict(found))
    else:
        click.echo("\n".join(described_lines(found)))


@db.command("export")
@click.argument("name", shell_complete=source_names)
@click.argument("target", type=_PATH)
@json_option
@_database_option
def export(name: str, target: Path, database: Path | None, *, as_json: bool) -> None:
    """Write the source NAME to TARGET (.csv, .csv.gz, .tsv, .parquet, .feather or .json) and its template beside it."""
    from proteinx_pipelines.catalog.exporting import export_source

    rows = export_source(database or load_settings().database_path, name, target)
    if as_json:
        print_json({"source": name, "rows": rows, "file": target})
    else:
        say(f"Wrote {rows:,} rows of {name} to {target}")


@db.command("rename")
@click.argument("name", shell_complete=source_names)
@click.argument("new_name")
@json_option
@_database_option
def rename(name: str, new_name: str, database: Path | None, *, as_json: bool) -> None:
    """Rename the source NAME to NEW_NAME."""
    from proteinx_pipelines.catalog.managing import rename_source

    rename_source(database or load_settings().database_path, name, new_name)
    if as_json:
        print_json({"source": new_name, "was": name})
    else:
        say(f"Renamed {name} to {new_name}")


@db.command("rm")
@click.argument("name", shell_complete=source_names)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@_database_option
def rm(name: str, database: Path | None, *, yes: bool, as_json: bool) -> None:
    """Remove the source NAME and its rows from the catalog; experiments keep their own copies."""
    from proteinx_pipelines.catalog.listing import show_source
    from proteinx_pipelines.catalog.managing import remove_source

    path = database or load_settings().database_path
    rows = show_source(path, name).summary.rows
    if not yes:
        click.confirm(f"Remove {name} and its {rows:,} rows from {path}?", abort=True)
    removed = remove_source(path, name)
    if as_json:
        print_json({"source": name, "rows": removed})
    else:
        say(f"Removed {name}: {removed:,} rows")


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))


def _print_sources(sources: "list[SourceSummary]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from proteinx_pipelines.cli.terminal import console

    table = Table(box=None)
    table.add_column("source", style="bold", overflow="fold")
    for column in ("rows", "no score", "residues", "mutations", "lowest", "highest"):
        table.add_column(column, justify="right")
    for source in sources:
        table.add_row(
            escape(source.name), f"{source.rows:,}", f"{source.without_score:,}", f"{source.template_length:,}",
            _up_to(source.max_mutations), _number(source.min_score), _number(source.max_score),
        )  # fmt: skip
    console().print(table)


def _print_details(details: "SourceDetails") -> None:
    from rich.markup import escape
    from rich.table import Table

    from proteinx_pipelines.cli.terminal import console

    summary = details.summary
    missing = f"{summary.without_score:,} of them without a score"
    click.echo(f"{one_line(summary.name)}: {summary.rows:,} rows, {missing}")
    if len(details.scores) > 1:
        click.echo(
            f"Scores: {', '.join(map(one_line, details.scores))} (data.score chooses; the first one if it does not)"
        )
    counted = f", numbered from {1 + details.offset}" if details.offset else ""
    click.echo(
        f"\nTemplate, {summary.template_length:,} residues{counted}\n{one_line(details.template, 100_000)}"
    )
    _print_bars("\nMutations", {str(count): rows for count, rows in details.mutation_counts.items()})
    ranges = [f"{low:.4g} to {high:.4g}" for low, high in zip(details.edges, details.edges[1:], strict=False)]
    _print_bars("\nScores", dict(zip(ranges, details.histogram, strict=True)))
    table = Table(title="First rows", title_justify="left")
    for column in details.first_rows[0] if details.first_rows else ():
        table.add_column(escape(column))
    for row in details.first_rows:
        table.add_row(*(escape(_number(value)) for value in row.values()))
    console().print(table)


def _print_bars(title: str, counts: dict[str, int]) -> None:
    """A text histogram with one line per bin."""
    click.echo(title)
    width, most = max(map(len, counts), default=0), max(counts.values(), default=0)
    for label, count in counts.items():
        bar = "#" * round(_BAR_WIDTH * count / most)
        click.echo(f"  {label:>{width}}  {bar:<{_BAR_WIDTH}} {count:,}")


def _up_to(most: int | None) -> str:
    return "-" if most is None else f"up to {most}"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
