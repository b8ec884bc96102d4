"""Readiness of a node to run a message: its parts record it in files, its agent reports it to the Master."""

from proteinx_pipelines.contract.keys import HEARTBEATS, NodeKeys
from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.processes.ready_parts import PARTS, is_ready
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.queue.queue import connect, unavailable_as_our_error
from proteinx_pipelines.settings import Settings


def missing_parts(settings: Settings) -> list[str]:
    """Names of the parts that are not ready yet; empty when the node's heartbeat is there."""
    missing = [part for part in PARTS if not is_ready(settings, part)]
    return missing or ([] if heart_beats(settings) else ["agent"])


def heart_beats(settings: Settings) -> bool:
    """True if Redis has this node's heartbeat; false as well while Redis does not answer."""
    try:
        client = connect(redis_url(settings))
        with unavailable_as_our_error("looking for the heartbeat"), client:
            return bool(client.exists(NodeKeys(settings.node_name).heartbeat))
    except QueueUnavailable:
        return False


def a_heart_beats(settings: Settings) -> bool:
    """True if Redis has the heartbeat of any node; false as well while Redis does not answer."""
    try:
        client = connect(redis_url(settings))
        with unavailable_as_our_error("looking for a heartbeat"), client:
            return next(iter(client.scan_iter(match=HEARTBEATS, count=1000)), None) is not None
    except QueueUnavailable:
        return False
