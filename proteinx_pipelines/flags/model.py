"""`model.*`: the model to train. Read by the train stage."""

from typing import Annotated, Literal

from pydantic import Field

from proteinx_pipelines.flags.base import FlagGroup, Name, from_list

MODELS = ("ridge", "ridge_cv", "gp", "boosting", "forest", "auto", "mlp", "cnn", "light_attention")
"""Values of `model.name`."""
NETWORKS = ("mlp", "cnn", "light_attention")
"""Models trained in epochs."""


class ModelFlags(FlagGroup):
    """The model trained on the embeddings."""

    name: Annotated[Name, Field(examples=["ridge"])] = "ridge"
    """`ridge` (closed form), `ridge_cv` (chooses its penalty inside the training rows), `gp` (Gaussian process
    with uncertainty), `boosting` or `forest` (trees), `auto` (the best without pretrained weights), `mlp`
    (multi-layer perceptron, trained by Lightning), `cnn` (convolutions over the residues, likewise) or
    `light_attention` (convolutions that also weigh the residues, likewise)."""
    alpha: float = Field(1.0, ge=0, le=1e12)
    """ridge: L2 penalty on the weights (not on the intercept), as scikit-learn's `Ridge(alpha)`."""
    kernel: Literal["mutation", "rbf", "linear", "sites"] | None = None
    """gp: `mutation` (sites and amino acids; needs `embedding.name` onehot), `rbf`, `linear` or `sites` (combinations
    at up to 8 positions, with interactions of every order; needs onehot; learns the root of targets that are never
    negative). When null, `mutation` for onehot and `rbf` for vectors."""
    hidden_dims: Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], from_list(32)] = (128,)
    """mlp: width of each hidden layer."""
    channels: int = Field(1024, ge=1, le=65536)
    """cnn, light_attention: width of the convolutions; cnn: the following layer is twice as wide."""
    kernel_size: Literal[1, 3, 5, 7, 9, 11] | None = None
    """cnn, light_attention: number of residues covered by one convolution. When null, 5 for cnn, 9 for
    light_attention.
    """
    dropout: float = Field(0.0, ge=0, lt=1)
    """mlp, cnn, light_attention: fraction of hidden units dropped during training."""
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    """mlp: non-linearity between layers."""
