"""`embedding.*`: how a sequence becomes a vector. Read by the embedding stage; knows no split."""

from typing import Literal

from pydantic import Field

from proteinx_pipelines.flags.base import FlagGroup

ESM2_MODELS = (
    "esm2_t6_8M_UR50D", "esm2_t12_35M_UR50D", "esm2_t30_150M_UR50D",
    "esm2_t33_650M_UR50D", "esm2_t36_3B_UR50D", "esm2_t48_15B_UR50D",
)  # fmt: skip
"""ESM-2 checkpoints by fair-esm's names."""
EMBEDDERS = ("onehot", *ESM2_MODELS)
"""What `embedding.name` may be."""


class EmbeddingFlags(FlagGroup):
    """How a sequence becomes a vector."""

    name: Literal[EMBEDDERS] = "onehot"  # type: ignore[valid-type]
    """Representation: `onehot`, or an ESM-2 model by fair-esm's name."""
    weights: str | None = None
    """Checkpoint file of the ESM-2 model on this node; fair-esm's own download when null."""
    layer: int | None = Field(None, ge=0)
    """Transformer layer whose states are taken, 0 is the token embedding; the last one when null."""
    pooling: Literal["mean", "bos", "mutated"] = "mean"
    """How residue states become one vector: mean over residues, the BOS token, or mean over the mutated positions."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of weights and activations inside the ESM-2 model; results are stored as fp32."""
    tokens_per_batch: int = Field(8192, ge=1)
    """Tokens in one forward pass (residues + 2 for each sequence); changes speed and memory, not results."""
