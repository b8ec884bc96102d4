"""`proteinx predict`: predicts measured or unmeasured variants with the model of a finished experiment."""

from pathlib import Path

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.lazy import examples, imports, rare_collections
from proteinx_pipelines.cli.variant_table import show, table_options


@click.command(
    epilog=examples(
        "proteinx predict gb1-001 --mutants V39L,V39L:D40G",
        "proteinx predict gb1-001 --singles --out singles.csv",
        "proteinx predict gb1-001 --variants library.xlsx --out predicted.parquet",
        "proteinx predict champion --mutants V39L --master http://master:8000",
        "proteinx predict gb1-model/ --fasta designs.fasta --out predicted.csv",
    )
)
@click.argument("experiment_id", metavar="[ID|FOLDER]", required=False, shell_complete=experiment_ids)
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
@master_option
@table_options
def predict(
    experiment_id: str | None, variants: Path | None, fasta: Path | None, mutants: str | None, singles: bool,
    master_url: str | None, source: str | None, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Predict variants with the model of a finished experiment.

    Without ID, of the experiment that has succeeded last; with the folder of an exported model in its place, of that
    model, without what needs the measurements. The model is trained on every labelled row with the
    experiment's flags; the first call trains it. Each variant gets a prediction, a 95 % interval calibrated on
    held-out rows, probabilities of beating the wild type and the best measured variant, the nearest measured variant,
    and remarks where the model extrapolates.

    At a Master, ID is a model's id, its alias (`champion`) or its experiment. Many variants are predicted by a job,
    which is waited for.
    """
    given = [variants is not None, fasta is not None, mutants is not None, singles]
    if sum(given) != 1:
        raise click.UsageError(
            f"{sum(given)} of --variants, --fasta, --mutants and --singles are given; exactly one is expected."
        )
    named = [text.strip() for text in (mutants or "").split(",") if text.strip()]
    if mutants is not None and not named:
        raise click.UsageError(f"--mutants is {mutants!r}; mutants such as A24C,A24C:D40G are expected.")
    file, is_folder = variants or fasta, experiment_id is not None and Path(experiment_id).is_dir()
    if master_url is None or is_folder:
        _predict_here(experiment_id, named, file, source, out, singles=singles, as_json=as_json)
        return
    from proteinx_pipelines.cli.models_at_master import predict as predict_there

    if singles:
        raise click.UsageError(
            "--singles: a Master predicts named variants. A job predicts all single mutants: `proteinx submit "
            "--template predict data.source=...`; or name them, or leave out --master."
        )
    predict_there(
        master_url, experiment_id, mutants=named, file=file, source=source, out=out, as_json=as_json
    )


def _predict_here(
    experiment_id: str | None,
    mutants: list[str],
    file: Path | None,
    source: str | None,
    out: Path | None,
    *,
    singles: bool,
    as_json: bool,
) -> None:
    with imports():
        from proteinx_pipelines.cli.newest import experiment_or_newest
        from proteinx_pipelines.errors import UnknownExperiment
        from proteinx_pipelines.execution.designing import Asked
        from proteinx_pipelines.execution.designing import predict as predicted
        from proteinx_pipelines.execution.exported_models import is_exported, predict_exported
        from proteinx_pipelines.settings import load_settings

    asked = Asked(file=file, mutants=mutants, singles=singles)
    with rare_collections():
        try:
            directory = experiment_or_newest(experiment_id).directory
        except UnknownExperiment:
            if experiment_id is None or not is_exported(Path(experiment_id)):
                raise
            table = predict_exported(Path(experiment_id), asked, source)
        else:
            table = predicted(load_settings(), directory, asked, source)
        show(table, out, as_json=as_json)
