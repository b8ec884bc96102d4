"""`proteinx cancel`: asks the Master of this machine, or the node over the list `experiments:cancel`."""

from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.at_master import master_option
from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proteinx_pipelines.settings import Settings


@click.command(epilog=examples("proteinx cancel gb1-001"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@master_option
@json_option
def cancel(experiment_id: str, master_url: str | None, as_json: bool) -> None:
    """Cancel a waiting or running experiment; its result then has the status CANCELLED."""
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, open_lives
    from proteinx_pipelines.node.talking.master_jobs import open_jobs_of
    from proteinx_pipelines.services import cancelling
    from proteinx_pipelines.settings import load_settings

    if master_url is not None:
        from proteinx_pipelines.cli.at_master import cancel as cancel_there

        cancel_there(master_url, experiment_id, as_json=as_json)
        return
    settings = load_settings()
    jobs = open_jobs_of(settings, experiment_id)
    if jobs:
        _cancel_at_master(settings, jobs[0], as_json=as_json)
        return
    lives = open_lives(settings, experiment_id)
    current = cancelling.cancel(lives, NodeQueue(settings), experiment_id, cancelling.WAIT_S)
    if as_json:
        print_json(
            {"experiment_id": current.experiment_id, "generation": current.generation, "state": current.state,
             "ended": current.is_terminal}
        )  # fmt: skip
    elif current.is_terminal:
        click.echo(f"{current.experiment_id} is {current.state}.")
    else:
        click.echo(f"{current.experiment_id} will be cancelled as soon as the node stops it.")


def _cancel_at_master(settings: "Settings", job: "Mapping[str, Any]", *, as_json: bool) -> None:
    """Cancel a job that the Master of this machine has, and wait for its end."""
    from proteinx_pipelines.node.talking.master_jobs import cancel_job
    from proteinx_pipelines.services.cancelling import WAIT_S

    ended = cancel_job(settings, job["job_id"], WAIT_S)
    is_over = ended["finished_at"] is not None
    if as_json:
        print_json(
            {"experiment_id": ended["experiment_id"], "generation": ended["generation"], "state": ended["state"],
             "ended": is_over}
        )  # fmt: skip
    elif is_over:
        click.echo(f"{ended['experiment_id']} is {ended['state']}.")
    else:
        click.echo(f"{ended['experiment_id']} will be cancelled as soon as the node stops it.")
