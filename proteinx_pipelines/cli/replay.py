"""`proteinx replay`: runs an unsuccessful experiment again, reusing what it has already computed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from proteinx_pipelines.cli.completing import experiment_ids
from proteinx_pipelines.cli.json_output import json_option, print_json
from proteinx_pipelines.cli.lazy import examples

if TYPE_CHECKING:
    from proteinx_pipelines.settings import Settings


@click.command(
    epilog=examples(
        "proteinx replay gb1-001 --wait",
        "proteinx replay gb1-001-g1.json --check",
        "proteinx replay gb1-001-g1.json --here --id gb1-001-again",
    )
)
@click.argument("what", metavar="ID|BUNDLE", shell_complete=experiment_ids)
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
@click.option(
    "--check", is_flag=True, help="Bundle only: print its requirements and what is missing here, run nothing."
)
@click.option("--here", is_flag=True, help="Bundle only: run it in this process, without a queue.")
@click.option("--id", "experiment_id", help="Bundle only: another id for the experiment here.")
@click.option("--payload", metavar="FILE", help="Bundle only: path of its data on this machine.")
@click.option("--force", is_flag=True, help="Bundle only: run it even if requirements are missing or differ.")
@json_option
def replay(
    what: str,
    wait: bool,
    check: bool,
    here: bool,
    experiment_id: str | None,
    payload: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Run a FAILED or CANCELLED experiment again, starting at the stage that did not succeed.

    ID is an experiment of this node. It becomes a new generation with the same flags, sent through the same queue as
    every message. Stages computed by earlier generations are reused. Replaying the same failure twice starts one
    replay only.

    BUNDLE is a failure bundle (WORKDIR/failures/*.json) of this or another node. The data, files, plugin names,
    weights and versions that it needs are first compared with what this node has.
    """
    from proteinx_pipelines.cli.replay_bundle import replay_bundle
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    if Path(what).is_file():
        raise SystemExit(
            replay_bundle(
                settings, Path(what), check=check, here=here, experiment_id=experiment_id, payload=payload,
                force=force, wait=wait, as_json=as_json,
            )
        )  # fmt: skip
    if check or here or experiment_id or payload or force:
        raise click.UsageError(
            f"{what} is no file: --check, --here, --id, --payload and --force are for failure bundles."
        )
    _replay_here(settings, what, wait=wait, as_json=as_json)


def _replay_here(settings: "Settings", experiment_id: str, *, wait: bool, as_json: bool) -> None:
    from proteinx_pipelines.cli.waiting import wait_for
    from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, open_lives
    from proteinx_pipelines.services import replaying

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
