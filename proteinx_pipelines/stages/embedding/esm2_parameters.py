"""Parameters of an ESM-2 in memory, whatever file they came from: names, shapes, and the vocabulary."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of a vocabulary in which a residue has several: pairs with a letter of its structure."""

    residues: tuple[int, ...]
    """Token of each residue of `AMINO_ACIDS` whose structure is unknown."""
    groups: tuple[tuple[int, ...], ...]
    """All tokens of each residue; its probability is their sum."""
    bos: int
    eos: int
    mask: int
    """Token of a hidden residue."""


@dataclass(frozen=True)
class Esm2Weights:
    """One checkpoint, read and checked against the architecture that its name promises."""

    name: str
    """fair-esm's name of the architecture."""
    sha256: str
    """SHA-256 of the file's bytes."""
    n_layers: int
    n_heads: int
    width: int
    """D."""
    token_dropout: bool
    """True if token states are scaled as in training (fair-esm, ESM2.forward)."""
    tensors: Mapping[str, "Tensor"]
    """Parameters by fair-esm's names, such as `layers.0.fc1.weight`; on the CPU, in the file's dtype."""
    vocabulary: Vocabulary | None = None
    """Tokens of another vocabulary than ESM-2's (SaProt)."""


def expected_shapes(n_layers: int, width: int, n_tokens: int = 33) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters that a forward pass to the last layer reads."""
    square, wide = (width, width), 4 * width
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (n_tokens, width)}
    for layer in range(n_layers):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"layers.{layer}.self_attn.{part}.weight"] = square
            shapes[f"layers.{layer}.self_attn.{part}.bias"] = (width,)
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"layers.{layer}.{norm}.{end}": (width,) for end in ("weight", "bias")}
        shapes |= {f"layers.{layer}.fc1.weight": (wide, width), f"layers.{layer}.fc1.bias": (wide,)}
        shapes |= {f"layers.{layer}.fc2.weight": (width, wide), f"layers.{layer}.fc2.bias": (width,)}
    return shapes | {f"emb_layer_norm_after.{end}": (width,) for end in ("weight", "bias")}
