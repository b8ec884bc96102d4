"""Cached Redis connections of this node, one per kind and process."""

from functools import lru_cache

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.talking.addresses import broker_url
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.claims import MessageClaims
from proteinx_pipelines.queue.queue import RedisQueue, connect, unavailable_as_our_error
from proteinx_pipelines.settings import Settings


@lru_cache(maxsize=4)
def master_line(settings: Settings) -> MasterLine:
    """Connection for everything the node sends to the Master."""
    client = connect(redis_url(settings))
    return MasterLine(client, settings.queue_name, settings.result_queue_name, settings.node_name)


@lru_cache(maxsize=4)
def master_queue(settings: Settings) -> RedisQueue:
    """Connection for the Master's messages."""
    client = connect(redis_url(settings))
    return RedisQueue(client, settings.queue_name, settings.node_name, take_from=settings.queue_side)


@lru_cache(maxsize=4)
def message_claims(settings: Settings, workdir_id: str) -> MessageClaims:
    """Registry of which WORKDIR has taken which message."""
    client = connect(redis_url(settings))
    return MessageClaims(client, settings.queue_name, workdir_id, settings.node_name)


def broker_answers(settings: Settings) -> bool:
    """True if Celery's Redis answers now: without it, nothing can begin, and no part is to blame."""
    try:
        with (
            unavailable_as_our_error("being asked whether it is there"),
            connect(broker_url(settings)) as client,
        ):
            return bool(client.ping())
    except QueueUnavailable:
        return False
