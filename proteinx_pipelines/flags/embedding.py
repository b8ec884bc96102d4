"""`embedding.*`: how a sequence becomes a vector. Read by the embedding stage; knows no split."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from proteinx_pipelines.flags.base import FlagGroup

ESM2_MODELS = (
    "esm2_t6_8M_UR50D", "esm2_t12_35M_UR50D", "esm2_t30_150M_UR50D",
    "esm2_t33_650M_UR50D", "esm2_t36_3B_UR50D", "esm2_t48_15B_UR50D",
)  # fmt: skip
"""ESM-2 checkpoints by fair-esm's names."""
EMBEDDERS = ("onehot", *ESM2_MODELS)
"""What `embedding.name` may be."""


def esm2_layers(name: str) -> int:
    """Number of transformer layers of an ESM-2 model, which its name says: 6 for `esm2_t6_8M_UR50D`."""
    return int(name.split("_")[1].removeprefix("t"))


class EmbeddingFlags(FlagGroup):
    """How a sequence becomes a vector."""

    name: Literal[EMBEDDERS] = "onehot"  # type: ignore[valid-type]
    """Representation: `onehot`, or an ESM-2 model by fair-esm's name."""
    weights: str | None = None
    """Checkpoint file of the ESM-2 model on this node; fair-esm's own download when null."""
    layer: int | None = Field(None, ge=0)
    """Transformer layer whose states are taken, 0 is the token embedding; the last one when null."""
    pooling: Literal["mean", "bos", "mutated"] = "mean"
    """How residue states become one vector: mean over residues, the BOS token, or
    mean over the mutated positions."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of weights and products inside the ESM-2 model; sums and results are fp32."""
    tokens_per_batch: int = Field(8192, ge=1)
    """Tokens in one forward pass (residues + 2 for each sequence); changes speed and memory, not results."""

    @field_validator("weights", "layer")
    @classmethod
    def _belongs_to_a_model(cls, value: str | int | None, info: ValidationInfo) -> str | int | None:
        if value is not None and info.data.get("name") == "onehot":
            raise ValueError("`embedding.name` is onehot, which has neither; name a model, or leave this out")
        return value

    @field_validator("layer")
    @classmethod
    def _layer_exists(cls, value: int | None, info: ValidationInfo) -> int | None:
        name = info.data.get("name")
        if value is not None and name in ESM2_MODELS and value > esm2_layers(name):
            raise ValueError(f"{name} has {esm2_layers(name)} layers; 0 to {esm2_layers(name)} is expected")
        return value
