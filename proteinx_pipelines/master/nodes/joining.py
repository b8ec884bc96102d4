"""What a node gets when it joins, and whether its name is free."""

from typing import cast

from proteinx_pipelines.contract.base import Document
from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys
from proteinx_pipelines.queue.queue import connect, unavailable_as_our_error


class Seat(Document):
    """The place of a node at a Master: addresses and names, which the node uses as its settings."""

    name: str
    """Name of the node."""
    redis_url: str
    """Address of the Redis between the Master and its nodes; may hold a password."""
    queue_name: str
    """List that the node takes messages from."""
    result_queue_name: str
    """List that the node puts results on."""
    store: str | None = None
    """Address of the store that nodes and Master share; null where there is none."""


def other_holder(url: str, queue_name: str, name: str, workdir_id: str | None) -> str | None:
    """The WORKDIR whose living node has a name, where that is not `workdir_id`; None when the name is free.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    with unavailable_as_our_error("looking for a node's name"), connect(url) as client:
        holder = cast("bytes | None", client.get(QueueKeys(queue_name).of_node(name).name(name)))
        if holder is None or not client.exists(NodeKeys(name).heartbeat):
            return None
    found = holder.decode("utf-8", "replace")
    return None if found == workdir_id else found
