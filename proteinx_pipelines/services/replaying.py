"""Replays an unsuccessful experiment, reusing what it has already computed."""

from typing import Any

from proteinx_pipelines.contract.failure import FailureBundle
from proteinx_pipelines.contract.request import SCHEMA_VERSION, ExperimentRequest, message_of
from proteinx_pipelines.errors import NotReplayable
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.lookup import find_generation
from proteinx_pipelines.services.ports import Lives, Queue
from proteinx_pipelines.services.submitting import submit


def replay(lives: Lives, queue: Queue, experiment_id: str) -> tuple[Generation, ExperimentRequest]:
    """Send an experiment's newest generation again; returns that generation and the message sent.

    Raises:
        UnknownExperiment: there is none of this id.
        NotReplayable: it goes on, or has succeeded.
        QueueUnavailable: the server does not answer; nothing was sent.
    """
    current = find_generation(lives, experiment_id)
    request = replay_of(current)
    submit(queue, request)
    return current, request


def message_of_bundle(
    bundle: FailureBundle, *, node: str, experiment_id: str | None = None, payload_ref: str | None = None
) -> ExperimentRequest:
    """Build the message that reruns the experiment of a failure bundle, on the node where it failed or on another.

    Args:
        bundle: what is known of the failure.
        node: name of this node. On the node where it failed, the message is that of `replay_of`.
        experiment_id: a name for it here; its own when None.
        payload_ref: where its data are here; the bundle's when None.

    Raises:
        MessageError: flags or names cannot be used by this version; all problems at once.
    """
    flags: dict[str, Any] = {**bundle.flags}
    flags["run"] = {**flags.get("run", {}), "allow_duplicate": True, "resume": True}
    origin = bundle.experiment_id if node == bundle.node else f"{bundle.node}-{bundle.experiment_id}"
    return message_of(
        {
            "experiment_id": experiment_id or bundle.experiment_id,
            "flags": flags,
            "payload_ref": payload_ref or bundle.payload_ref,
            "message_id": f"replay-{origin}-{bundle.generation}",
            "schema_version": SCHEMA_VERSION,
        }
    )


def replay_of(current: Generation) -> ExperimentRequest:
    """The message that starts a generation after `current`, with its flags.

    Raises:
        NotReplayable: it goes on, or has succeeded: there is nothing to run again.
    """
    if current.state not in ("FAILED", "CANCELLED"):
        raise NotReplayable(
            f"{current.experiment_id} is {current.state}: only what FAILED or was CANCELLED can be replayed. "
            "To compute a finished experiment anew, submit it again with run.allow_duplicate=true run.resume=false."
        )
    flags: dict[str, Any] = {**current.flags}
    flags["run"] = {**flags.get("run", {}), "allow_duplicate": True, "resume": True}
    return message_of(
        {
            "experiment_id": current.experiment_id,
            "flags": flags,
            "payload_ref": current.payload_ref,
            # The same failure replayed twice gives the same message: the second one starts nothing.
            "message_id": f"replay-{current.experiment_id}-{current.generation}",
            "priority": current.priority,
            "reply_to": current.reply_to,  # name of the list that the experiment's result goes to
            "schema_version": SCHEMA_VERSION,
        }
    )
