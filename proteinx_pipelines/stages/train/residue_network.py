"""The settings of networks that read a variant residue by residue: `cnn` and `light_attention`.

Their layers are their own; how they are trained is `lightning_fit`.
"""

from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.train.task import FitTask


def residue_settings(task: FitTask, *, width: str, kernel_size: int) -> dict[str, Any]:
    """What `model.json` says of such a network.

    Args:
        task: one fold; its embedding says how many numbers stand for a residue.
        width: what the model calls that number.
        kernel_size: residues under the convolution where `model.kernel_size` leaves it open.

    Raises:
        FlagError: the embedding has one vector for each variant; choose one with residues.
    """
    model, found = task.flags.model, task.embedding.residue_width
    if found is None:
        vectors = f"one vector for each variant of {task.embedding.info.get('name')!r}"
        advice = "choose `embedding.name` onehot, or `embedding.pooling` per_residue"
        raise FlagError([f"`model.name` {model.name} reads residues, found {vectors}; {advice}"])
    return {
        width: found,
        "channels": model.channels,
        "kernel_size": model.kernel_size or kernel_size,
        "dropout": model.dropout,
    }
