"""Settings of networks that read a variant residue by residue: `cnn` and `light_attention`.

Their modules define the layers; `lightning_fit` trains them.
"""

from typing import Any

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.train.network_tasks import with_tasks
from proteinx_pipelines.stages.train.task import FitTask


def residue_settings(task: FitTask, *, width: str, kernel_size: int) -> dict[str, Any]:
    """Build the settings of such a network for `model.json`.

    Args:
        task: one fold; its embedding gives the number of columns per residue.
        width: the model's name for that number.
        kernel_size: residues under the convolution if `model.kernel_size` is null.

    Raises:
        FlagError: the embedding has one vector for each variant; choose one with residues.
    """
    model, found = task.flags.model, task.embedding.residue_width
    if found is None:
        vectors = f"one vector for each variant of {task.embedding.info.get('name')!r}"
        advice = "choose `embedding.name` onehot, or `embedding.pooling` per_residue"
        raise FlagError([f"`model.name` {model.name} reads residues, found {vectors}; {advice}"])
    own = {
        width: found,
        "channels": model.channels,
        "kernel_size": model.kernel_size or kernel_size,
        "dropout": model.dropout,
    }
    return with_tasks(task, own)
