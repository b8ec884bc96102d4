"""`proteinx model`: export, check and describe the model of a finished experiment."""

from pathlib import Path

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples


@click.group(
    epilog=examples("proteinx model export gb1-001 --out gb1-model", "proteinx model verify gb1-model")
)
def model() -> None:
    """Export, check and describe models trained on all labelled rows."""


@model.command("export", epilog=examples("proteinx model export gb1-001 --out gb1-model"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for a copy; must not exist."
)
@click.option(
    "--folds",
    is_flag=True,
    help="The mean of the cross-validated models, in place of one of all rows; needs --out.",
)
@json_option
def export(experiment_id: str, out: Path | None, folds: bool, as_json: bool) -> None:
    """Train the model on all labelled rows if there is none yet, and copy its folder."""
    import shutil

    from proteinx_pipelines.execution.final_models import (
        export_folds,
        final_model_of,
        refuse_kept_predictions,
    )
    from proteinx_pipelines.experiment import open_experiment
    from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
    from proteinx_pipelines.settings import load_settings

    if out is not None and out.exists():
        raise click.UsageError(f"{out} exists already. Name a folder that does not, or remove it.")
    if folds and out is None:
        raise click.UsageError("--folds is given without --out. Name a folder for the model.")
    directory = open_experiment(experiment_id).directory
    if folds and out is not None:
        export_folds(directory, load_settings(), out)
        return _exported(experiment_id, out, as_json=as_json)
    made = final_model_of(directory, read_pipeline(directory.pipeline), load_settings())
    refuse_kept_predictions(made.model)
    folder = directory.final_model_dir
    if out is not None:
        shutil.copytree(folder, out)
        folder = out
    return _exported(experiment_id, folder, as_json=as_json)


def _exported(experiment_id: str, folder: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"experiment_id": experiment_id, "folder": folder})
    else:
        click.echo(str(folder))


@model.command("verify", epilog=examples("proteinx model verify gb1-model"))
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def verify(folder: Path, as_json: bool) -> None:
    """Check every file of an exported model against its manifest."""
    from proteinx_pipelines.stages.design.final_model import verify_final

    found = verify_final(folder)
    if as_json:
        print_json({"folder": folder, "files": found})
    else:
        click.echo(f"{len(found)} files are as they were exported.")


@model.command(
    "card", epilog=examples("proteinx model card gb1-model", "proteinx model card gb1-model --json")
)
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def card(folder: Path, as_json: bool) -> None:
    """Print an exported model's description, performance and limits."""
    from proteinx_pipelines.experiment_dir.files import read_json
    from proteinx_pipelines.stages.design.final_model import CARD, card_text, verify_final

    verify_final(folder)
    found = read_json(folder / CARD)
    if as_json:
        print_json(found)
    else:
        click.echo(card_text(found))
