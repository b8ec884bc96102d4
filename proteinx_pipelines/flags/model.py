"""`model.*`: the model to train. Read by the train stage."""

from typing import Annotated, Literal

from pydantic import Field

from proteinx_pipelines.domain.models import MODELS as MODELS
from proteinx_pipelines.domain.models import NETWORKS as NETWORKS
from proteinx_pipelines.flags.base import FlagGroup, Name, PathText, from_list, from_names

LORA_TARGETS = ("query", "key", "value", "out", "fc1", "fc2")
"""Values of `model.lora_targets`: the linear layers of a transformer layer."""


class ModelFlags(FlagGroup):
    """The model trained on the embeddings."""

    name: Annotated[Name, Field(examples=["ridge"])] = "ridge"
    """`ridge` (closed form), `ridge_cv` (chooses its penalty inside the training rows), `gp` (Gaussian process
    with uncertainty), `boosting` or `forest` (trees), `auto` (the best without pretrained weights), `mlp`
    (multi-layer perceptron, trained by Lightning), `cnn` (convolutions over the residues, likewise) or
    `light_attention` (convolutions that also weigh the residues, likewise), `finetune` (a language model,
    `model.backbone`, tuned with a head); or a model or network of a plugin, whose
    own flags are `ext.model.*`."""
    alpha: float = Field(1.0, ge=0, le=1e12)
    """ridge: L2 penalty on the weights (not on the intercept), as scikit-learn's `Ridge(alpha)`."""
    kernel: Literal["mutation", "rbf", "linear", "sites"] | None = None
    """gp: `mutation` (sites and amino acids; needs `embedding.name` onehot), `rbf`, `linear` or `sites` (combinations
    at up to 8 positions, with interactions of every order; needs onehot; learns the cube root of targets that are never
    negative). When null, `mutation` for onehot and `rbf` for vectors."""
    tasks: Literal["single", "joint"] = "single"
    """gp, networks: `joint` learns the properties of `data.properties` beside the target, as tasks of one model, also
    from rows without a score. The target alone is judged, and no test row's properties are used."""
    prior: Annotated[PathText, Field(min_length=1)] | None = None
    """gp, boosting, forest, auto on onehot: predicted effects of substitutions from other assays, as terms of the
    kernel, features of the trees and a baseline of the report. `default`: the package's; `none` or null: none; else a
    file of `proteinx prior learn`. A protein's relatives are left out of it.
    """
    hidden_dims: Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], from_list(32)] = (128,)
    """mlp: width of each hidden layer."""
    channels: int = Field(1024, ge=1, le=65536)
    """cnn, light_attention: width of the convolutions; cnn: the following layer is twice as wide."""
    kernel_size: Literal[1, 3, 5, 7, 9, 11] | None = None
    """cnn, light_attention: number of residues covered by one convolution. When null, 5 for cnn, 9 for
    light_attention.
    """
    dropout: float = Field(0.0, ge=0, lt=1)
    """mlp, cnn, light_attention, finetune (input of the head): fraction of hidden units dropped during training."""
    backbone: Annotated[Name, Field(examples=["esm2_t6_8M_UR50D"])] = "esm2_t6_8M_UR50D"
    """finetune: the language model that is tuned, an ESM-2 by fair-esm's name."""
    weights: PathText | None = None
    """finetune: checkpoint of the language model on this node; fair-esm's own download when null."""
    tuning: Literal["lora", "full", "head"] = "lora"
    """finetune: low-rank corrections of the linear layers in `model.lora_targets`, all weights, or the head alone."""
    tuned_layers: int | None = Field(None, ge=1, le=1000)
    """finetune: number of layers, counted from the last, that are tuned; all when null. The lower ones cost no backward
    pass."""
    lora_rank: int = Field(8, ge=1, le=1024)
    """finetune, lora: rank of a correction."""
    lora_alpha: float = Field(16.0, gt=0, le=1e6)
    """finetune, lora: a correction is multiplied by alpha / rank."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """finetune, lora: fraction of a correction's inputs dropped during training."""
    lora_targets: Annotated[
        tuple[Literal[LORA_TARGETS], ...],  # type: ignore[valid-type]
        Field(min_length=1),
        from_names(len(LORA_TARGETS)),
    ] = ("query", "value")
    """finetune, lora: linear layers that get a correction."""
    checkpointing: bool = False
    """finetune: compute activations again in the backward pass instead of keeping them: less memory, more time."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """mlp: non-linearity between layers."""
