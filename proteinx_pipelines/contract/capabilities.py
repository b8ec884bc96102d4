"""Capabilities: the names and limits that a node publishes, against which a sender checks a message.

A message's shape is the same everywhere. Which metrics, embedders, models and further split methods exist depends on
the node: a Master reads its nodes' capabilities, a node uses what it has loaded.
"""

from typing import Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document
from proteinx_pipelines.domain.known_names import KnownNames


class EmbedderCapability(Document):
    """One embedder."""

    name: str
    """Value of `embedding.name`."""
    weights: Literal["none", "here", "absent"]
    """`none`: it needs no weights; `here`: its checkpoint is on the node; `absent`: it would be downloaded, or named
    by a message.
    """


class GpuCapability(Document):
    """One GPU."""

    name: str | None = None
    """Product name."""
    memory_total_bytes: int | None = None
    """Memory of the GPU, in bytes."""


class Capabilities(Document):
    """Capabilities of one node."""

    node: str
    """Name of the node."""
    time: str
    """Time of writing (ISO 8601, UTC)."""
    models: tuple[str, ...]
    """Values that `model.name` accepts."""
    embedders: tuple[EmbedderCapability, ...]
    """Values that `embedding.name` accepts."""
    metrics: tuple[str, ...]
    """Values that `evaluate.metrics` accepts."""
    split_methods: tuple[str, ...] = ()
    """Values that `split.method` accepts besides the built-in ones: those of plugins."""
    plugins: tuple[str, ...] = ()
    """Loaded plugins."""
    schema_versions: tuple[int, ...] = (1,)
    """Request versions that the node reads."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that results depend on."""
    cpu_count: int | None = None
    """Logical processors."""
    memory_total_bytes: int | None = None
    """Memory of the machine, in bytes."""
    gpus: tuple[GpuCapability, ...] = ()
    """The GPUs; empty on a node without one."""
    sources: tuple[str, ...] | None = None
    """Sources in the node's own catalog; null where they are too many to list, or it cannot be read."""
    stores: tuple[str, ...] | None = None
    """Addresses of the stores whose files messages may refer to, one or none; null where the node does not say."""
    labels: tuple[str, ...] = ()
    """Labels set by the operator, by which a Master may choose nodes (setting `labels`)."""
    meeting: str | None = None
    """`host:port` at which machines that a Master lends to this node's trainings meet; null where it lends none."""
    is_lent_by_hand: bool = False
    """True if the operator lends machines to this node's trainings (MASTER_ADDR, MASTER_PORT, `proteinx rank`)."""
    max_timeout_s: float | None = None
    """Time limit of experiments, in seconds; null where there is none."""
    max_memory_gb: float | None = None
    """Largest expected memory of a stage, in units of 10^9 bytes; null where the machine is the limit."""
    max_data_gb: float | None = None
    """Largest data file that is read, in units of 10^9 bytes."""
    schema_version: Literal[1] = 1
    """Version of this document."""

    @property
    def known_names(self) -> KnownNames:
        """The names that a message may use."""
        embedders = tuple(embedder.name for embedder in self.embedders)
        return KnownNames(self.metrics, embedders, self.models, self.split_methods)
