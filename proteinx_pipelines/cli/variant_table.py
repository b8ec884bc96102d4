"""Tables of variants that a command writes or prints: `--out`, `--json`, `--source`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import source_names
from proteinx_pipelines.cli.json_output import json_option, print_json

if TYPE_CHECKING:
    import pyarrow as pa

_LISTED = 20
_SUFFIXES = (".parquet", ".csv", ".txt")
_SHOWN = (
    "rank",
    "well",
    "mutant",
    "prediction",
    "low",
    "high",
    "p_better_than_wild_type",
    "reason",
    "remarks",
)
_ALSO_SHOWN = ("p_at_least_", "prediction:")
"""Beginnings of further columns that are printed: probabilities of classes, further properties."""
_NOT_IN_REASONS = ("beyond the", "more mutations than")
"""Beginnings of remarks that the reason of a proposal does not say."""
_TITLES = {"p_better_than_wild_type": "beats WT"}


def table_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a command whose result is a table of variants: arguments `source`, `out`, `as_json`."""
    source = click.option(
        "--source",
        shell_complete=source_names,
        help="Source of the variants; needed where the experiment has several.",
    )
    out = click.option(
        "--out",
        type=click.Path(path_type=Path),
        callback=_with_a_known_suffix,
        help="Output file, CSV or Parquet by its suffix; printed if omitted.",
    )
    return source(out(json_option(command)))


def _with_a_known_suffix(_context: click.Context, _option: click.Parameter, out: Path | None) -> Path | None:
    """Refuse a form that cannot be written before a model is trained for it."""
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(
            f"--out {str(out)!r} has neither the suffix .csv nor .parquet; use one of them."
        )
    return out


def show(table: "pa.Table", out: Path | None, *, as_json: bool) -> None:
    """Write the table to the requested place, and print what was written."""
    if out is not None:
        _write(table, out)
    if as_json:
        print_json(table.to_pylist())
    elif out is not None:
        click.echo(f"{table.num_rows:,} rows in {out}")
    else:
        _print(table)


def tell_shortfalls(notes: Sequence[str]) -> None:
    """Say, on standard error, what a plate has less of than was asked for."""
    for note in notes:
        click.echo(note, err=True)


def _write(table: "pa.Table", out: Path) -> None:
    from proteinx_pipelines.experiment_dir.codecs.evaluate import csv_bytes
    from proteinx_pipelines.experiment_dir.files import write_bytes, write_parquet

    if out.suffix.lower() == ".parquet":
        write_parquet(out, table)
    else:
        write_bytes(out, csv_bytes(table))


def _with_what_reasons_leave_out(table: "pa.Table") -> "pa.Table":
    """Reasons with the remarks that they do not have: a value out of range is said, not hidden."""
    import pyarrow as pa

    texts = [
        "; ".join(
            [
                row["reason"],
                *(part for part in (row["remarks"] or "").split("; ") if part.startswith(_NOT_IN_REASONS)),
            ]
        )
        for row in table.select(["reason", "remarks"]).to_pylist()
    ]
    return table.set_column(table.column_names.index("reason"), "reason", pa.array(texts))


def _print(table: "pa.Table") -> None:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import console, number
    from proteinx_pipelines.cli.terminal import table as rows_of

    others = [name for name in table.column_names if name.startswith(_ALSO_SHOWN)]
    order = [*_SHOWN[: _SHOWN.index("low")], *others, *_SHOWN[_SHOWN.index("low") :]]
    wanted = [name for name in order if name in table.column_names]
    if "reason" in wanted and "remarks" in wanted:
        wanted.remove("remarks")
        table = _with_what_reasons_leave_out(table)
    shown = rows_of([_TITLES.get(name, name) for name in wanted])
    for row in table.select(wanted).slice(0, _LISTED).to_pylist():
        shown.add_row(
            *(
                number(value) if isinstance(value, float) else "" if value is None else escape(str(value))
                for value in row.values()
            )
        )
    screen = console()
    screen.print(shown)
    if table.num_rows > _LISTED:
        click.echo(f"and {table.num_rows - _LISTED:,} more; --out FILE.csv writes all of them")
