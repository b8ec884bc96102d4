"""The names of all Redis keys; no other module spells one.

All keys of a queue begin with the name of the Master's list (setting `queue_name`), so that two queues on one server
do not collide; the keys of a node begin with `nodes/<node>/`.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

DEFAULT_QUEUE = "experiments"
"""Name of the list of messages."""
DEFAULT_RESULTS = "experiments:results"
"""Name of the list of results."""
HEARTBEATS = "nodes/*/heartbeat"
"""Pattern of the keys of all living nodes' heartbeats."""
CAPABILITIES = "nodes/*/capabilities"
"""Pattern of the keys of all living nodes' capabilities."""


@dataclass(frozen=True)
class QueueKeys:
    """The keys of one queue."""

    messages: str = DEFAULT_QUEUE
    """List: requests; the Master pushes on the left, a node takes from the right."""
    all_results: str = DEFAULT_RESULTS
    """List: results of messages without `reply_to`; a node pushes on the left."""

    def of_node(self, node: str) -> Self:
        """The keys of the queue between a Master and one of its nodes; `node_name_problem` says which names fit."""
        return type(self)(f"{self.messages}:{node}", f"{self.messages}:{node}:results")

    @property
    def events_of_nodes(self) -> str:
        """Pattern of the channels of events of all nodes that a Master has."""
        return f"{literally(self.messages)}:*:events"

    def node_of_channel(self, channel: str) -> str:
        """Name of the node that a channel found by `events_of_nodes` belongs to."""
        return channel.removeprefix(f"{self.messages}:").removesuffix(":events")

    @property
    def cancels(self) -> str:
        """List: ids of experiments to cancel."""
        return f"{self.messages}:cancel"

    @property
    def events(self) -> str:
        """Channel: `contract.event.Event`."""
        return f"{self.messages}:events"

    @property
    def delivered(self) -> str:
        """Hash: results that were put on a list, with the time."""
        return f"{self.all_results}:sent"

    @property
    def lent(self) -> str:
        """Text: `contract.lending.Lending`, while a Master lends this node's machine to a training of another node."""
        return f"{self.messages}:lent"

    def results(self, reply_to: str | None = None) -> str:
        """List: results; those of one sender, or all others."""
        return self.all_results if reply_to is None else f"{self.all_results}:to:{reply_to}"

    def status(self, experiment_id: str) -> str:
        """Hash: `contract.status.Status`."""
        return f"{self.messages}:status:{experiment_id}"

    def claimed(self, node: str) -> str:
        """List: messages that a node has taken and not decided."""
        return f"{self.messages}:processing:{node}"

    def taken(self, message_key: str) -> str:
        """Text: the WORKDIR that has taken a message; that WORKDIR also answers any copy of it."""
        return f"{self.messages}:message:{hashlib.sha256(message_key.encode('utf-8')).hexdigest()}"

    def job(self, message_key: str) -> str:
        """Text: id of the job that a Master has made of a message whose sender asked for a list of its own."""
        return f"{self.messages}:job:{hashlib.sha256(message_key.encode('utf-8')).hexdigest()}"

    def owner(self, workdir_id: str) -> str:
        """Text: name of the node working in a WORKDIR; exists while the node runs."""
        return f"{self.messages}:owner:{workdir_id}"

    def name(self, node: str) -> str:
        """Text: the WORKDIR whose node has this name."""
        return f"{self.messages}:name:{node}"

    def handed_on(self, workdir_id: str) -> str:
        """List: copies of messages taken by another node, to be answered by a WORKDIR."""
        return f"{self.messages}:for:{workdir_id}"

    @property
    def handed(self) -> str:
        """Set: the WORKDIRs that copies have been left for."""
        return f"{self.messages}:handed"


@dataclass(frozen=True)
class NodeKeys:
    """The keys of one node; they expire unless its heartbeat renews them."""

    node: str

    @property
    def heartbeat(self) -> str:
        """Text: `contract.heartbeat.Heartbeat`."""
        return f"nodes/{self.node}/heartbeat"

    @property
    def gpu_usage(self) -> str:
        """Text: `contract.heartbeat.GpuUsage`."""
        return f"nodes/{self.node}/gpu_usage"

    @property
    def capabilities(self) -> str:
        """Text: `contract.capabilities.Capabilities`."""
        return f"nodes/{self.node}/capabilities"

    def all(self) -> tuple[str, ...]:
        """Every key of the node."""
        return self.heartbeat, self.gpu_usage, self.capabilities


_OWN_NAMES = (
    "cancel", "events", "for", "handed", "job", "lent", "message", "name", "owner", "processing", "results", "status",
)  # fmt: skip
"""Last parts of keys above: a node of this name would have its list where another thing is."""
_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def node_name_problem(name: str) -> str | None:
    """Why a node of a Master cannot have this name; None when it can."""
    if not _NODE_NAME.fullmatch(name):
        return f"{name[:80]!r} is found; 1 to 100 of A-Z a-z 0-9 . _ - are expected, beginning with a letter or a digit"
    return f"{name!r} is the name of one of the queue's own keys" if name in _OWN_NAMES else None


def literally(text: str) -> str:
    """A text as a Redis pattern that matches only that text."""
    return re.sub(r"([*?\[\]\\^])", r"\\\1", text)
