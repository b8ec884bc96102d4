"""`proteinx replay`: an experiment that ended without success once more, on what it has already computed."""

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples


@click.command(epilog=examples("proteinx replay gb1-001", "proteinx replay gb1-001 --wait"))
@click.argument("experiment_id", metavar="ID", shell_complete=experiment_ids)
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
@json_option
def replay(experiment_id: str, wait: bool, as_json: bool) -> None:
    """Run an experiment that FAILED or was CANCELLED again, from the stage that did not succeed.

    It becomes a new generation with the same flags, through the same queue as every message. What earlier
    generations computed is reused. Replaying the same failure twice is one replay.
    """
    from proteinx_pipelines.cli.waiting import wait_for
    from proteinx_pipelines.node.service_ports import NodeQueue, open_lives
    from proteinx_pipelines.services import replaying
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    lives = open_lives(settings, experiment_id)
    current, request = replaying.replay(lives, NodeQueue(settings), experiment_id)
    if wait:
        raise SystemExit(wait_for(settings, request, as_json=as_json))
    if as_json:
        print_json(
            {"experiment_id": current.experiment_id, "generation": current.generation + 1,
             "message_id": request.message_id}
        )  # fmt: skip
        return
    click.echo(
        f"{current.experiment_id} runs again as generation {current.generation + 1}. "
        f"See it with `proteinx show {current.experiment_id}`."
    )
