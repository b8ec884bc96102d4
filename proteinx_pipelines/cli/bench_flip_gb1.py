"""`proteinx bench flip-gb1`: one row per split."""

from pathlib import Path

import click

from proteinx_pipelines.cli.lazy import PlainErrors, examples

_SPLITS = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "sampled")
_TOLERANCE = 0.02


@click.command(
    "flip-gb1",
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench flip-gb1 --data assays", "proteinx bench flip-gb1 --data assays --model gp"
    ),
)
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--data", type=click.Path(path_type=Path), help="GB1_FLIP_splits.csv.gz, or its folder.")
@click.option(
    "--split", "splits", type=click.Choice(_SPLITS), multiple=True, help="Only this split; several."
)
@click.option("--model", default="ridge", show_default=True, help="A model of `proteinx models`.")
def flip_gb1(pairs: tuple[str, ...], data: Path | None, splits: tuple[str, ...], model: str) -> None:
    """Run FLIP's splits of GB1: few mutations in training, many in the test.

    NAME=VALUE sets a flag, such as model.alpha=10. The exit code is 1 when ours is more than 0.02 below the
    reference on a split. References are values that could be traced, or made anew by FLIP's own recipe.
    """
    from rich.markup import escape

    from proteinx_pipelines.bench.flip_gb1 import WHERE_TO_GET, find_table, reference, score_split
    from proteinx_pipelines.cli.terminal import console, duration, table

    if data is None:
        raise click.UsageError(f"--data is missing. {WHERE_TO_GET}")
    file, passed = find_table(data), True
    rows = table(["split", "test", "spearman", "reference", "difference", "mse", "time", "reference is"])
    for split in splits or _SPLITS:
        found, known = score_split(file, split, model, pairs), reference(model, split)
        difference = None if known is None else found.pooled - known.spearman
        passed &= difference is None or difference >= -_TOLERANCE
        numbers = (
            found.pooled,
            known and known.spearman,
            difference,
            float(found.mse * found.spread[0] ** 2),
        )
        cells = ("-" if value is None else f"{value:.3f}" for value in numbers)
        source = "" if known is None else f"{known.model}: {known.source}"
        rows.add_row(split, str(len(found.target)), *cells, duration(found.seconds), escape(source))
    console().print(rows)
    if not passed:
        click.echo(f"{model} is more than {_TOLERANCE} below the reference: same data, split and metric, so "
                   "the model differs.", err=True)  # fmt: skip
        raise SystemExit(1)
