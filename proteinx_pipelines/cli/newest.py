"""The experiment that a command works on where the command line names none: the one that has succeeded last."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from proteinx_pipelines.experiment import Experiment


def experiment_or_newest(experiment_id: str | None) -> "Experiment":
    """The named experiment, or the newest that has succeeded, which is said.

    Raises:
        UnknownExperiment: there is none.
    """
    from proteinx_pipelines.experiment import newest_experiment, open_experiment

    if experiment_id is not None:
        return open_experiment(experiment_id)
    newest = newest_experiment()
    click.echo(f"{newest.id}, the newest experiment that has succeeded", err=True)
    return newest
