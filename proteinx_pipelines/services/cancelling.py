"""Cancels a waiting or running experiment: through the queue's cancel list, or through the node's own record."""

import time

from proteinx_pipelines.errors import AlreadyEnded, QueueUnavailable
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.lookup import find_generation
from proteinx_pipelines.services.ports import Lives, Queue

WAIT_S = 15.0
"""Seconds to wait for the end of a cancelled experiment: a stage has 10 s to stop by itself."""
_LOOK_S = 0.1


def cancel(lives: Lives, queue: Queue, experiment_id: str, wait_s: float = WAIT_S) -> Generation:
    """Ask for a cancel and wait for the end; returns the generation as it then stands, ended or not.

    Raises:
        UnknownExperiment: there is none of this id.
        AlreadyEnded: there is nothing to cancel.
    """
    current = find_generation(lives, experiment_id)
    if current.is_terminal:
        raise AlreadyEnded(f"{current.experiment_id} has ended already: it is {current.state}.")
    try:
        queue.ask_to_cancel(current.experiment_id)
    except QueueUnavailable:
        # The node reads the cancel request from its own record when it restarts.
        lives.request_cancel(current.experiment_id)
    end = time.monotonic() + wait_s
    while not current.is_terminal and time.monotonic() < end:
        time.sleep(_LOOK_S)
        current = find_generation(lives, experiment_id, current.generation)
    return current
