"""`proteinx bench flip-gb1`: one row per model and split."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.bench.flip_gb1 import Row

_SPLITS = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")
_COLUMNS = (
    "model",
    "split",
    "test",
    "spearman",
    "published",
    "difference",
    "mse",
    "time",
    "published by",
    "",
)


@click.command(
    "flip-gb1",
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench flip-gb1 --data assays",
        "proteinx bench flip-gb1 --data assays --model cnn --split three_vs_rest model.channels=1024",
    ),
)
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=flag_pairs)
@click.option("--data", type=click.Path(path_type=Path), help="GB1_FLIP_splits.csv.gz, or its folder.")
@click.option(
    "--split", "splits", type=click.Choice(_SPLITS), multiple=True, help="Only this split; repeatable."
)
@click.option("--model", "models", multiple=True,
              help="A model of `proteinx models`; repeatable.  [default: ridge, gp, cnn]")  # fmt: skip
@json_option
def flip_gb1(
    pairs: tuple[str, ...],
    data: Path | None,
    splits: tuple[str, ...],
    models: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run FLIP's splits of GB1: train on few mutations, test on many.

    NAME=VALUE sets a flag, such as model.alpha=10. The network is FLIP's with 128 channels instead of 1,024. The exit
    code is 1 when our value is more than 0.02 below the published one on a split. Published values are those with a
    traceable source, or values recomputed with FLIP's own recipe.
    """
    from proteinx_pipelines.bench.flip_gb1 import MODELS, TOLERANCE, WHERE_TO_GET, find_table, score_split
    from proteinx_pipelines.cli.terminal import console, duration, table

    if data is None:
        raise click.UsageError(f"--data is missing. {WHERE_TO_GET}")
    file, rows = find_table(data), []
    for model in models or MODELS:
        for split in splits or _SPLITS:
            row = score_split(file, split, model, pairs)
            rows.append(row)
            click.echo(f"{model} {split} {row.found.pooled:.3f} ({duration(row.found.seconds)})", err=True)
    if as_json:
        print_json([_document(row) for row in rows])
    else:
        found = table(_COLUMNS)
        for row in rows:
            found.add_row(*_cells(row))
        console().print(found)
    below = [f"{row.model} on {row.split}" for row in rows if not row.is_within]
    if below:
        click.echo(f"More than {TOLERANCE} below the published value: {', '.join(below)}. Data, split and metric are "
                   "the published ones, so the model differs.", err=True)  # fmt: skip
        raise SystemExit(1)


def _document(row: "Row") -> dict[str, Any]:
    known = row.reference
    return {
        "model": row.model, "split": row.split, "n": len(row.found.target), "spearman": row.found.pooled,
        "published": known.spearman if known else None, "published_model": known.model if known else None,
        "source": known.source if known else None, "difference": row.difference, "mse": row.mse,
        "seconds": row.found.seconds, "is_within": row.is_within,
    }  # fmt: skip


def _cells(row: "Row") -> tuple[str, ...]:
    from rich.markup import escape

    from proteinx_pipelines.cli.terminal import duration

    known = row.reference
    numbers = (row.found.pooled, known and known.spearman, row.difference, row.mse)
    return (
        row.model,
        row.split,
        str(len(row.found.target)),
        *("-" if value is None else f"{value:.3f}" for value in numbers),
        duration(row.found.seconds),
        "" if known is None else escape(f"{known.model}: {known.source}"),
        "" if row.is_within else "!",
    )
