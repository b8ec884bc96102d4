"""A piece of training as files that another process picks up: `spec.json` beside the tensors of its rows.

Today the processes of one distributed training read it, all on one machine.
"""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document


class TrainingShard(Document):
    """The training of one fold. Rows and targets are in `inputs.safetensors`, the ids stay with the sender."""

    format: Literal[1] = 1
    """Form of this document."""
    model: str
    """Name of the model."""
    settings: dict[str, Any]
    """What its network is built from."""
    flags: dict[str, Any]
    """Flags of the experiment, nested, defaults written out."""
    seed: int
    """Seed of this fold."""
    where: str = ""
    """For messages: `fold 2`, or nothing for a single split."""
    checkpoints_dir: str
    """Folder of the checkpoints."""
    logs_dir: str
    """Folder of the loggers' files."""
    log_name: str
    """Folder below `logs_dir`: `fold_2`, or nothing for a single split."""
    checkpoint: str | None = None
    """Checkpoint to continue from."""
    info: dict[str, Any] = Field(default_factory=dict)
    """What the embedding says of itself."""
    alphabet: str
    """Letters that tokens are indices into."""
    rows_sha256: str
    """Digest of the ids of the training and of the validation rows."""
