"""Submits an experiment: builds and sends its message, waits for the node's decision, follows it to its end."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.contract.request import SCHEMA_VERSION, ExperimentRequest, message_of, readable_id
from proteinx_pipelines.errors import WouldFail
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.ports import Lives, Planner, Queue

LOOK_S = 0.2
"""Seconds between two reads of the recorded history."""
AT_A_NODE_S = 2.0
"""Seconds from a Master's decision in which an idle node has decided too; after them the job waits for its turn."""


@dataclass(frozen=True)
class Decision:
    """A node's decision about a message."""

    accepted: bool
    experiment_id: str | None
    generation: int | None
    """None if the message was refused."""
    result: Mapping[str, Any] | None
    """The result document of a refused message or of an experiment that has already ended; else None."""
    job_id: str | None = None
    """The job that a Master has made of the message; None where a node took it itself."""

    @property
    def is_final(self) -> bool:
        """False for a message that a Master has accepted and no node has decided about yet."""
        return self.job_id is None or self.generation is not None or self.result is not None


def compose(
    flags: ExperimentFlags,
    experiment_id: str | None = None,
    payload_ref: str | None = None,
    priority: int = 0,
) -> ExperimentRequest:
    """Build the message of an experiment, checked as the node will check it.

    Args:
        flags: of the experiment.
        experiment_id: made from source, model and time when None.
        payload_ref: data to take instead of the catalog's.
        priority: -100 to 100; higher goes first.

    Raises:
        MessageError: the id, the payload or the priority cannot be used; all problems at once.
    """
    name = f"submit-{secrets.token_hex(12)}"
    document = {
        "experiment_id": experiment_id or readable_id(flags),
        "flags": flags.nested(),
        "payload_ref": payload_ref,
        "message_id": name,
        "reply_to": name,  # so that a Master waiting for its own results does not get this one
        "priority": priority,
        "schema_version": SCHEMA_VERSION,
    }
    return message_of(document)


def submit(queue: Queue, request: ExperimentRequest) -> None:
    """Put a message on the list.

    Raises:
        QueueUnavailable: the server does not answer; nothing was sent.
    """
    queue.send(request.raw)


def refuse_unworkable(planner: Planner, request: ExperimentRequest) -> None:
    """Check an experiment as far as possible without running it.

    Raises:
        WouldFail: it would fail; the message says at what.
    """
    tried = planner.rehearse(request.flags, request.payload_ref)
    found = [f"{problem.code}: {problem.text}" for problem in tried.problems]
    if found:
        raise WouldFail(found)


def decision(lives: Lives | None, queue: Queue, request: ExperimentRequest) -> Decision | None:
    """The decision about a message; None if undecided.

    Args:
        lives: of the experiments on this node; None where it has none, and another node may answer.
        queue: where the node puts what it answers to this sender.
        request: the message.
    """
    answer = lives.answered(request.message_key) if lives is not None else None
    if lives is not None and answer is not None:
        if answer.verdict == "ACCEPTED":
            return Decision(True, answer.experiment_id, answer.generation, None)
        return Decision(False, answer.experiment_id, None, lives.result(answer.result_id))
    result = queue.take_reply(request.reply_to) if request.reply_to is not None else None
    job_id = None if request.reply_to is None else queue.job_of(request.message_key)
    if result is not None:
        accepted = result["status"] != "REJECTED"
        return Decision(accepted, result["experiment_id"], result["generation"], result, job_id)
    if job_id is None:
        return None
    taken = lives.answered(f"{job_id}/1") if lives is not None else None
    if taken is not None and taken.verdict == "ACCEPTED":
        return Decision(True, taken.experiment_id, taken.generation, None, job_id)
    return Decision(True, request.experiment_id, None, None, job_id)  # a refusal comes as a result


def await_decision(
    find_lives: Callable[[], Lives | None],
    queue: Queue,
    request: ExperimentRequest,
    longest_wait_s: float | None = None,
) -> Decision | None:
    """Wait until a message is decided; None when it is not within `longest_wait_s` seconds.

    Args:
        find_lives: the recorded lives, or None as long as this node has none.
        queue: as for `decision`.
        request: the message.
        longest_wait_s: in seconds; None waits for ever.
    """
    end = float("inf") if longest_wait_s is None else time.monotonic() + longest_wait_s
    while (found := decision(find_lives(), queue, request)) is None or not found.is_final:
        now = time.monotonic()
        if now >= end:
            return found
        if found is not None and longest_wait_s is not None:
            end = min(end, now + AT_A_NODE_S)
            longest_wait_s = None  # once: from the Master's decision on
        time.sleep(min(LOOK_S, max(0.0, end - time.monotonic())))
    return found


def follow(lives: Lives, experiment_id: str, generation: int) -> Iterator[Generation]:
    """Yield the generation repeatedly until it has ended; the last value is its end."""
    while True:
        current = lives.generation(experiment_id, generation)
        if current is None:  # removed meanwhile
            return
        yield current
        if current.is_terminal:
            return
        time.sleep(LOOK_S)
