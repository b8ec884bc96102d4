"""Runs the experiment of a round on the queue: sends its message and waits for its end."""

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Literal

from proteinx_pipelines.errors import NotInTime, RoundRefused
from proteinx_pipelines.execution.rounds import has_design
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.node.lifecycle.service_ports import NodeQueue, find_lives
from proteinx_pipelines.services import submitting
from proteinx_pipelines.settings import Settings

_DECIDED_WITHIN_S = 60.0


@dataclass(frozen=True)
class QueueRunner:
    """As `services.rounds.Runner`."""

    settings: Settings
    via: Literal["hand", "queue"] = "queue"

    def run(self, experiment_id: str, flags: ExperimentFlags) -> None:
        """Send the message and wait for the end.

        Raises:
            QueueUnavailable: the server does not answer. NotInTime: no node has decided within a minute.
            RoundRefused: the node refused the message, or the experiment did not succeed; the message gives the reason.
        """
        queue, find = NodeQueue(self.settings), partial(find_lives, self.settings)
        again = flags.model_copy(update={"run": flags.run.model_copy(update={"allow_duplicate": True})})
        request = submitting.compose(again, experiment_id)
        submitting.submit(queue, request)
        decided = submitting.await_decision(find, queue, request, _DECIDED_WITHIN_S)
        if decided is None:
            raise NotInTime(
                f"No node has taken the message of {experiment_id} within {_DECIDED_WITHIN_S:.0f} s; it waits on the "
                "queue. Start a node with `proteinx up`, then repeat the command."
            )
        lives = find()
        if not decided.accepted or decided.generation is None or lives is None:
            error = (decided.result or {}).get("error") or {}
            raise RoundRefused(
                f"The node refused {experiment_id}: {error.get('message', 'it gave no reason')}"
            )
        seen = deque(submitting.follow(lives, experiment_id, decided.generation), maxlen=1)
        last = seen[0] if seen else None
        if last is None or last.state != "SUCCEEDED":
            state = "removed" if last is None else last.state
            raise RoundRefused(
                f"{experiment_id} is {state}. `proteinx show {experiment_id}` says why; repeat the command when it is "
                "mended."
            )

    def is_done(self, experiment_id: str) -> bool:
        """True if it has succeeded with a design."""
        return has_design(self.settings, experiment_id)
