"""The names of all Redis keys; no other module spells one.

All keys of a queue begin with the name of the Master's list (setting `queue_name`), so that two queues on one server
do not collide; the keys of a node begin with `nodes/<node>/`.
"""

import hashlib
from dataclasses import dataclass

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
