"""`proteinx replay`: an experiment that ended without success once more, on what it has already computed."""

import json
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.lazy import examples
from proteinx_pipelines.errors import InputError

if TYPE_CHECKING:
    from proteinx_pipelines.contract.request import ExperimentRequest
    from proteinx_pipelines.state.generation import Generation


class NotReplayable(InputError):
    """The experiment has not failed, or has been replayed already; the message says which."""

    code = "not_replayable"


@click.command(epilog=examples("proteinx replay gb1-001", "proteinx replay gb1-001 --wait"))
@click.argument("experiment_id", metavar="ID")
@click.option(
    "--wait", is_flag=True, help="Show the stages until the experiment has ended, then its metrics."
)
def replay(experiment_id: str, wait: bool) -> None:
    """Run an experiment that FAILED or was CANCELLED again, from the stage that did not succeed.

    It becomes a new generation with the same flags, through the same queue as every message. What earlier
    generations computed is reused. Replaying the same failure twice is one replay.
    """
    from proteinx_pipelines.cli.experiments import find_generation, open_state
    from proteinx_pipelines.cli.submit import wait_for
    from proteinx_pipelines.node.line import master_queue
    from proteinx_pipelines.settings import load_settings

    settings = load_settings()
    state = open_state(settings, experiment_id)
    current = find_generation(state, experiment_id)
    request = replay_of(current)
    master_queue(settings).enqueue(request.raw)
    if wait:
        raise SystemExit(wait_for(settings, request))
    click.echo(
        f"{current.experiment_id} runs again as generation {current.generation + 1}. "
        f"See it with `proteinx show {current.experiment_id}`."
    )


def replay_of(current: "Generation") -> "ExperimentRequest":
    """The message that starts a generation after `current`, with its flags.

    Raises:
        NotReplayable: it goes on, or has succeeded: there is nothing to run again.
    """
    from proteinx_pipelines.contract.request import parse_message

    if current.state not in ("FAILED", "CANCELLED"):
        raise NotReplayable(
            f"{current.experiment_id} is {current.state}: only what FAILED or was CANCELLED can be replayed. "
            "To compute a finished experiment anew, submit it again with run.allow_duplicate=true run.resume=false."
        )
    flags: dict[str, Any] = {**current.flags}
    flags["run"] = {**flags.get("run", {}), "allow_duplicate": True, "resume": True}
    document = {
        "experiment_id": current.experiment_id,
        "flags": flags,
        "payload_ref": current.payload_ref,
        # The same failure replayed twice is the same message: the second one starts nothing.
        "message_id": f"replay-{current.experiment_id}-{current.generation}",
        "priority": current.priority,
        "schema_version": 1,
    }
    return parse_message(json.dumps(document, ensure_ascii=False, allow_nan=False).encode("utf-8"))
