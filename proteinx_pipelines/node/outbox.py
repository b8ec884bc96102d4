"""Delivering results: from `state.db` to the Master's list, in order, until they are there."""

import logging

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.line import master_line
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.state.store import StateStore

log = logging.getLogger(__name__)


def deliver_results(settings: Settings, state: StateStore) -> int:
    """Push what has not been delivered; the number pushed. An unreachable Redis leaves the rest for later."""
    pushed = 0
    try:
        for row in state.undelivered():
            for copy in range(row.delivered + 1, row.wanted + 1):
                master_line(settings).deliver(row.result_id, copy, row.payload)
                state.delivered(row.result_id, copy)
                pushed += 1
    except QueueUnavailable as error:
        log.warning("Results stay on disk until Redis is back: %s", error)
    return pushed
