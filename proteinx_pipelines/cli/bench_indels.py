"""`proteinx bench proteingym-indels`: one row per assay, and the mean over assays."""

from pathlib import Path

import click

from proteinx_pipelines.cli.completing import flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples


@click.command(
    "proteingym-indels",
    cls=PlainErrors,
    epilog=examples(
        "proteinx bench proteingym-indels --data DMS_ProteinGym_indels",
        "proteinx bench proteingym-indels --data assay.csv --model gp embedding.name=esm2_t6_8M_UR50D",
    ),
)
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...", shell_complete=flag_pairs)
@click.option("--data", type=click.Path(path_type=Path), help="A folder of assays, or one file.")
@click.option("--model", default="ridge_cv", show_default=True, help="A model of `proteinx models`.")
@json_option
def proteingym_indels(pairs: tuple[str, ...], data: Path | None, model: str, as_json: bool) -> None:
    """Run ProteinGym's protocol for insertions and deletions: five random folds, pooled Spearman.

    NAME=VALUE sets a flag; the representation is `kmers` unless embedding.name is set.
    """
    import numpy as np

    from proteinx_pipelines.bench.indels import WHERE_TO_GET, assay_files, score_assay
    from proteinx_pipelines.cli.terminal import console, duration, table

    if data is None:
        raise click.UsageError(f"--data is missing. {WHERE_TO_GET}")
    rows = [score_assay(file, model, "kmers", pairs) for file in assay_files(data)]
    documents = [
        {
            "name": row.name, "n": row.n, "n_indels": row.n_indels, "own_folds": row.own_folds,
            "spearman": row.found.pooled, "mse": row.found.mse, "seconds": row.found.seconds,
        }
        for row in rows
    ]  # fmt: skip
    if as_json:
        print_json(documents)
        return
    found = table(("assay", "tested", "indels", "folds", "spearman", "mse", "time"))
    for row in rows:
        folds = "its own" if row.own_folds else "drawn here"
        numbers = (f"{row.found.pooled:.3f}", f"{row.found.mse:.3f}", duration(row.found.seconds))
        found.add_row(row.name, str(row.n), str(row.n_indels), folds, *numbers)
    console().print(found)
    click.echo(f"Mean Spearman of {len(rows)} assays: {np.mean([row.found.pooled for row in rows]):.3f}")
