"""`proteinx experiment`: removing, archiving and restoring experiments.

Keeps the directory, `state.db`, the store and Dagster's partitions consistent, also while a node runs.
"""

from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.completing import archived_ids, experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    import dagster as dg

    from proteinx_pipelines.node.lifecycle.archiving import Shelf

_FORCE = click.option(
    "--force", is_flag=True, help="Also accept a local run that still appears to be running."
)


@click.group("experiment")
def experiment() -> None:
    """Remove, archive and restore experiments."""


@experiment.command(
    "rm", epilog=examples("proteinx experiment rm gb1-001", "proteinx experiment rm gb1-001 --yes")
)
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_FORCE
@json_option
def remove(experiment_id: str, yes: bool, force: bool, as_json: bool) -> None:
    """Remove an experiment permanently: its directory, its history, its runs and partition in the web server.

    Its id can then be used again. Stages that it shares with others stay in the store; `proteinx store gc` removes
    stages that no experiment refers to. Use `archive` if you may want the experiment back.
    """
    from proteinx_pipelines.defs.archiving_history import forget_partition, forget_runs, refuse_running
    from proteinx_pipelines.services.lookup import unknown_experiment

    shelf, history, experiment_id = _open(experiment_id)
    refuse_running(history, experiment_id)
    if not yes:
        click.confirm(f"Remove {shelf.settings.experiments_dir / experiment_id} and its history?", abort=True)
    had = shelf.remove(experiment_id, force=force)
    forget_runs(history, experiment_id)
    had_partition = forget_partition(history, experiment_id)
    if not had and not had_partition:
        known = [current.experiment_id for current in shelf.state.listing(1000)]
        raise unknown_experiment(experiment_id, known, where=f" in {shelf.settings.workdir}")
    if as_json:
        print_json({"experiment_id": experiment_id, "removed": True})
    else:
        click.echo(f"{experiment_id} is removed.")


@experiment.command("archive", epilog=examples("proteinx experiment archive gb1-001"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@_FORCE
@json_option
def archive(experiment_id: str, force: bool, as_json: bool) -> None:
    """Pack an experiment into WORKDIR/archive/ID.tar and remove its directory.

    The file holds the directory, its history and a digest of each file. The history also stays here: a repeated
    message still gets the same result.
    """
    from proteinx_pipelines.cli.sizes import size_text
    from proteinx_pipelines.defs.archiving_history import forget_partition, refuse_running

    shelf, history, experiment_id = _open(experiment_id)
    refuse_running(history, experiment_id)
    packed = shelf.archive(experiment_id, force=force)
    forget_partition(history, experiment_id)
    size = packed.stat().st_size
    if as_json:
        print_json({"experiment_id": experiment_id, "file": packed, "size": size})
    else:
        click.echo(f"{packed} ({size_text(size)})")


@experiment.command(
    "restore",
    epilog=examples("proteinx experiment restore gb1-001", "proteinx experiment restore /backup/gb1-001.tar"),
)
@click.argument("archive", metavar="ID|FILE", shell_complete=archived_ids)
@json_option
def restore(archive: str, as_json: bool) -> None:
    """Restore an archived experiment from WORKDIR/archive, the shared store or a file. Every byte is checked first.

    A file in WORKDIR/archive is removed once the experiment is restored; a file from elsewhere stays.
    """
    from pathlib import Path

    from proteinx_pipelines.defs.archiving_history import open_history, show_restored
    from proteinx_pipelines.experiment_id import experiment_id_problem

    shelf = _shelf()
    by_id = experiment_id_problem(archive) is None and not Path(archive).is_file()
    path = shelf.fetch_archive(archive) if by_id else Path(archive)
    directory = shelf.restore(path)
    show_restored(open_history(shelf.settings), directory)
    if by_id:
        path.unlink()
    if as_json:
        print_json({"experiment_id": directory.experiment_id, "directory": directory.root})
    else:
        click.echo(f"{directory.root} is back.")


def _open(experiment_id: str) -> "tuple[Shelf, dg.DagsterInstance, str]":
    """The archive, Dagster's history, and the id in the experiment's own spelling; letter case is ignored."""
    from proteinx_pipelines.defs.archiving_history import open_history
    from proteinx_pipelines.experiment_id import check_experiment_id

    check_experiment_id(experiment_id)
    shelf = _shelf()
    known = shelf.state.latest(experiment_id)
    return shelf, open_history(shelf.settings), known.experiment_id if known else experiment_id


def _shelf() -> "Shelf":
    from proteinx_pipelines.ledger.ledger import Ledger
    from proteinx_pipelines.node.lifecycle.archiving import Shelf
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    return Shelf(settings, Ledger(settings.state_path))
