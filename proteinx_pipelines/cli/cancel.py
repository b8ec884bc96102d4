"""`proteinx cancel`: sends the same request as the Master, on the list `experiments:cancel`."""

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples


@click.command(epilog=examples("proteinx cancel gb1-001"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@json_option
def cancel(experiment_id: str, as_json: bool) -> None:
    """Cancel a waiting or running experiment; its result then has the status CANCELLED."""
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, open_lives
    from proteinx_pipelines.services import cancelling
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
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
