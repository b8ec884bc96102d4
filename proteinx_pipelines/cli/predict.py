"""`proteinx predict`: predicts measured or unmeasured variants with the model of a finished experiment."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    import pyarrow as pa

_LISTED = 20


@click.command(
    epilog=examples(
        "proteinx predict gb1-001 --mutants V39L,V39L:D40G",
        "proteinx predict gb1-001 --singles --out singles.csv",
        "proteinx predict gb1-001 --variants library.xlsx --out predicted.parquet",
    )
)
@click.argument("experiment_id", metavar="ID")
@click.option(
    "--variants",
    type=click.Path(path_type=Path),
    help="File of variants in any form that `db import` reads; no score is needed.",
)
@click.option("--fasta", type=click.Path(path_type=Path), help="FASTA file of sequences.")
@click.option("--mutants", help="Comma-separated mutants or sequences.")
@click.option(
    "--singles", is_flag=True, help="Predict every single mutant at the positions that the model knows."
)
@click.option("--source", help="Source of the variants; needed where the experiment has several.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file, CSV or Parquet by its suffix; printed if omitted.",
)
@json_option
def predict(
    experiment_id: str, variants: Path | None, fasta: Path | None, mutants: str | None, singles: bool,
    source: str | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Predict variants with the model of a finished experiment.

    The model is trained on every labelled row with the experiment's flags; the first call trains it. Each variant
    gets a prediction, a 95 % interval calibrated on held-out rows, probabilities of beating the wild type and the
    best measured variant, the nearest measured variant, and remarks where the model extrapolates.
    """
    from proteinx_pipelines.execution.designing import Asked
    from proteinx_pipelines.execution.designing import predict as predicted
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.settings import load_settings

    given = [variants is not None, fasta is not None, mutants is not None, singles]
    if sum(given) != 1:
        raise click.UsageError(
            f"{sum(given)} of --variants, --fasta, --mutants and --singles are given; exactly one is expected."
        )
    asked = Asked(
        file=variants or fasta,
        mutants=[text.strip() for text in (mutants or "").split(",") if text.strip()],
        singles=singles,
    )
    show(
        predicted(load_settings(), open_experiment(experiment_id).directory, asked, source),
        out,
        as_json=as_json,
    )


def show(table: "pa.Table", out: Path | None, *, as_json: bool) -> None:
    """Write the table to the requested place, and print what was written."""
    from proteinx_pipelines.experiment_dir.codecs.evaluate import csv_bytes
    from proteinx_pipelines.experiment_dir.files import write_bytes, write_parquet

    if out is not None:
        if out.suffix.lower() == ".parquet":
            write_parquet(out, table)
        elif out.suffix.lower() in (".csv", ".txt"):
            write_bytes(out, csv_bytes(table))
        else:
            raise click.UsageError(
                f"--out {str(out)!r} has neither the suffix .csv nor .parquet; use one of them."
            )
    if as_json:
        print_json(table.to_pylist())
    elif out is not None:
        click.echo(f"{table.num_rows:,} rows in {out}")
    else:
        _print(table)


def _print(table: "pa.Table") -> None:
    from proteinx_pipelines.cli.terminal import console, number
    from proteinx_pipelines.cli.terminal import table as rows_of

    wanted = [
        name
        for name in (
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
        if name in table.column_names
    ]
    wanted = [name for name in wanted if name != "remarks" or "reason" not in wanted]
    titles = {"p_better_than_wild_type": "beats WT"}
    shown = rows_of([titles.get(name, name) for name in wanted])
    for row in table.select(wanted).slice(0, _LISTED).to_pylist():
        shown.add_row(
            *(
                number(value) if isinstance(value, float) else "" if value is None else str(value)
                for value in row.values()
            )
        )
    screen = console()
    screen.print(shown)
    if table.num_rows > _LISTED:
        click.echo(f"and {table.num_rows - _LISTED:,} more; --out FILE.csv writes all of them")
