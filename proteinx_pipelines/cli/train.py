"""`proteinx train` and `python train.py`: run one experiment in this process, without a queue."""

import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.completing import experiment_ids, flag_pairs
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import PlainErrors, examples

if TYPE_CHECKING:
    from proteinx_pipelines.execution.run_local import Finished
    from proteinx_pipelines.pipeline.entries import StageEntry
    from proteinx_pipelines.settings import Settings

SHORTCUTS = {
    "lr": "train.lr",
    "batch_size": "train.batch_size",
    "max_epochs": "train.max_epochs",
    "accelerator": "trainer.accelerator",
    "devices": "trainer.devices",
}
"""Option -> flag. An option overrides the file and the pairs."""


def trainer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each argument of Lightning's Trainer that has no shortcut: `--accumulate_grad_batches`."""
    path = resources.files("proteinx_pipelines.flags").joinpath("trainer_arguments.json")
    arguments: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["arguments"]
    taken = {flag.removeprefix("trainer.") for flag in SHORTCUTS.values()}
    for name in sorted(set(arguments) - taken, reverse=True):
        spelled = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
        command = click.option(*spelled, name, metavar="VALUE", help=f"trainer.{name}.")(command)
    return command


@click.command(
    cls=PlainErrors,
    epilog=examples(
        "python train.py --flags flags.json --lr 0.001 --max_epochs 50 --accumulate_grad_batches 4",
        """python train.py --flags '{"data": {"source": "GB1"}}' --lr 0.001""",
        "proteinx train data.source=GB1 model.name=ridge --id gb1-try",
        "proteinx train --payload MY.csv model.name=auto split.folds=5",
        "proteinx train flags.json train.lr=0.01",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[FLAGS]...", shell_complete=flag_pairs)
@click.option(
    "--flags",
    "file",
    metavar="FILE|JSON",
    help="File of flags (JSON or name=value lines), or JSON text.",
)
@click.option(
    "--id",
    "experiment_id",
    shell_complete=experiment_ids,
    help="Id of the experiment; made from source, model and time if omitted.",
)
@click.option(
    "--payload", metavar="REF", help="CSV, Parquet or SQLite file with the data, instead of the catalog."
)
@click.option("--lr", help="Learning rate (train.lr).")
@click.option("--batch_size", "--batch-size", help="Variants per batch (train.batch_size).")
@click.option("--max_epochs", "--max-epochs", help="Largest number of epochs (train.max_epochs).")
@click.option("--accelerator", help="cpu, gpu, auto, ... (trainer.accelerator).")
@click.option("--devices", help="Number or list of devices (trainer.devices).")
@trainer_options
@json_option
def train(
    arguments: tuple[str, ...],
    file: str | None,
    experiment_id: str | None,
    payload: str | None,
    as_json: bool,
    **shortcuts: str | None,
) -> None:
    """Run one experiment in this process: no queue, no node.

    FLAGS are as for `proteinx submit`: one file, pairs like train.lr=0.01, or both. Relative paths in them start at
    the current folder. Without data.source, the source is named after the payload.

    The experiment directory and the recompute rule are the same as on the queue: run it again with the same --id and
    another flag, and only the stages that depend on that flag are computed. An interrupted run continues.
    """
    from proteinx_pipelines.cli.flag_arguments import read_flags, with_source_of
    from proteinx_pipelines.contract.request import readable_id
    from proteinx_pipelines.execution.run_local import run_local_experiment
    from proteinx_pipelines.experiment_id import check_experiment_id
    from proteinx_pipelines.flags.parsing import parse_file
    from proteinx_pipelines.flags.reading import in_words
    from proteinx_pipelines.node.processes.locks import ProcessLock
    from proteinx_pipelines.node.processes.workdir import prepare_workdir
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.stages.known_names import known_here

    settings = load_settings()
    known = known_here()
    written = _merged(arguments if file else with_source_of(payload, arguments), shortcuts)
    if file and not file.lstrip().startswith("{"):
        flags = parse_file(Path(file), written, known=known)
    else:
        flags = read_flags([*([file] if file else []), *written], known)
    name = check_experiment_id(experiment_id or readable_id(flags))
    if note := in_words(flags):
        click.echo(f"Note: {note}", err=True)
    prepare_workdir(settings)
    lock = ProcessLock(settings.paths.lock(f"train-{name}"), f"Training of {name}")
    lock.acquire()
    used = f" ({settings.file})" if settings.file else ""
    if not as_json:
        click.echo(f"{name} in {settings.workdir}{used}")
    done: dict[str, str] = {}

    def on_stage(stage: str, entry: "StageEntry") -> None:
        if not done and payload is not None:
            _tell_how_it_was_read(settings, payload, flags.data.source)
        done[stage] = entry.action
        if not as_json:
            stage_done(stage, entry)

    try:
        finished = run_local_experiment(
            settings, name, flags, payload_ref=payload, on_progress=_progress, on_stage=on_stage
        )
    except KeyboardInterrupt:
        click.echo(f"\n{name} was broken off. The same command with --id {name} continues it.", err=True)
        raise SystemExit(130) from None
    if as_json:
        print_json(_document(finished, done))
    else:
        _print_end(settings, finished.directory.experiment_id, finished.summary)


def _tell_how_it_was_read(settings: "Settings", payload: str, sources: Sequence[str]) -> None:
    """Print, on standard error, what was guessed in reading a payload of this machine: columns, odd scores."""
    from proteinx_pipelines.catalog.numbering import source_understood
    from proteinx_pipelines.catalog.payload import open_payload
    from proteinx_pipelines.cli.db_import import print_notes

    if (path := Path(payload)).is_file():
        database = open_payload(path, settings.paths.payloads_dir, settings.most_data_bytes)
        for source in sources:
            print_notes(source_understood(database, source) or {})


def _document(finished: "Finished", stages: dict[str, str]) -> dict[str, Any]:
    directory = finished.directory
    return {
        "experiment_id": directory.experiment_id, "directory": directory.root, "stages": stages,
        "summary": finished.summary, "predictions": directory.predictions, "model": directory.model_dir,
        "report": directory.report_html,
    }  # fmt: skip


def _merged(arguments: Sequence[str], shortcuts: dict[str, str | None]) -> list[str]:
    """Arguments with option shortcuts replacing pairs of the same name."""
    chosen = {
        SHORTCUTS.get(name, f"trainer.{name}"): text for name, text in shortcuts.items() if text is not None
    }
    kept = [each for each in arguments if each.partition("=")[0].strip() not in chosen]
    return [*kept, *(f"{name}={text}" for name, text in chosen.items())]


def _progress(stage: str, fraction: float, note: str) -> None:
    """A status line that is overwritten; nothing is printed unless a terminal is attached."""
    from proteinx_pipelines.cli.terminal import status_line

    status_line(f"  {stage:<10} {fraction:4.0%} {note}")


def stage_done(stage: str, entry: "StageEntry") -> None:
    """Print a finished stage."""
    from proteinx_pipelines.cli.terminal import duration, status_line

    status_line("")
    took = f" in {duration(entry.seconds)}" if entry.action == "computed" else ""
    matched = entry.details.get("rows_matched")
    click.echo(f"  {stage:<10} {entry.action}{took}" + (f"; rows matched: {matched}" if matched else ""))


def _print_end(settings: "Settings", experiment_id: str, summary: "dict[str, float | None]") -> None:
    from proteinx_pipelines.cli.terminal import console, metric_table
    from proteinx_pipelines.experiment_dir.layout import ExperimentDir

    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    console().print(metric_table(summary))
    for title, path in (
        ("predictions", directory.predictions), ("model", directory.model_dir), ("report", directory.report_html),
    ):  # fmt: skip
        click.echo(f"{title:<12} {path}")
