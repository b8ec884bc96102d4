"""What a node can compute with: what it publishes, and what a sender checks a message against.

A message's shape is the same everywhere. Whether its metric, embedder and model exist is a node's to say; a Master asks
its nodes' capabilities, the node itself what is loaded.
"""

from typing import Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document
from proteinx_pipelines.domain.known_names import KnownNames


class EmbedderCapability(Document):
    """One embedder."""

    name: str
    """What `embedding.name` takes."""
    weights: Literal["none", "here", "absent"]
    """`none`: it needs none; `here`: its checkpoint is on the node; `absent`: it would be downloaded, or named by a
    message."""


class GpuCapability(Document):
    """One GPU."""

    name: str | None = None
    """Product name."""
    memory_total_bytes: int | None = None
    """Memory of the GPU, in bytes."""


class Capabilities(Document):
    """One node's."""

    node: str
    """Name of the node."""
    time: str
    """When it was written (ISO 8601, UTC)."""
    models: tuple[str, ...]
    """What `model.name` takes."""
    embedders: tuple[EmbedderCapability, ...]
    """What `embedding.name` takes."""
    metrics: tuple[str, ...]
    """What `evaluate.metrics` takes."""
    plugins: tuple[str, ...] = ()
    """Plugins that are loaded."""
    schema_versions: tuple[int, ...] = (1,)
    """Forms of requests that the node reads."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of Python and of the packages that results depend on."""
    cpu_count: int | None = None
    """Logical processors."""
    memory_total_bytes: int | None = None
    """Memory of the machine, in bytes."""
    gpus: tuple[GpuCapability, ...] = ()
    """The GPUs; empty on a node without one."""
    labels: tuple[str, ...] = ()
    """Words of the operator that a Master may place by (setting `labels`)."""
    max_timeout_s: float | None = None
    """Time limit of experiments, in seconds; null where there is none."""
    max_memory_gb: float | None = None
    """Memory that a stage may be expected to need, in units of 10^9 bytes; null where the machine is the limit."""
    max_data_gb: float | None = None
    """Size up to which a data file is read, in units of 10^9 bytes."""
    schema_version: Literal[1] = 1
    """Form of this document."""

    @property
    def known_names(self) -> KnownNames:
        """The names that a message may use."""
        embedders = tuple(embedder.name for embedder in self.embedders)
        return KnownNames(self.metrics, embedders, self.models)
