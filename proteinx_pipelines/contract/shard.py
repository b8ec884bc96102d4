"""A unit of training as files for another process: `spec.json` and the tensors of its rows.

Currently read by the processes of one distributed training, all on one machine.
"""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document


class TrainingShard(Document):
    """The training of one fold. Rows and targets are in `inputs.safetensors`, the ids stay with the sender."""

    format: Literal[1] = 1
    """Version of this document."""
    model: str
    """Name of the model."""
    settings: dict[str, Any]
    """Arguments of its network."""
    flags: dict[str, Any]
    """Flags of the experiment, nested, defaults written out."""
    seed: int
    """Seed of this fold."""
    where: str = ""
    """Label for messages: `fold 2`, or empty for a single split."""
    checkpoints_dir: str
    """Folder of the checkpoints."""
    logs_dir: str
    """Folder of the loggers' files."""
    log_name: str
    """Folder below `logs_dir`: `fold_2`, or empty for a single split."""
    checkpoint: str | None = None
    """Checkpoint to continue from."""
    info: dict[str, Any] = Field(default_factory=dict)
    """Description of the embedding."""
    alphabet: str
    """Letters that the tokens index."""
    rows_sha256: str
    """Digest of the ids of the training and of the validation rows."""
