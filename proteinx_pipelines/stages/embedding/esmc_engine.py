"""Forward pass of ESM-C (ESM Cambrian) from a folder in Hugging Face's form, with the interface of `Esm2Engine`.

Layer norms before attention and before the gated feed-forward part, norms of queries and keys over the whole width,
rotary positions, no biases, and branches divided by the square root of layers / 36. Vocabulary of 64, with ESM-2's
numbers for residues and special tokens. Sums, norms and rotary angles are float32 in both formats.

Source: EvolutionaryScale, ESM Cambrian (2024); transformers, models/esmc/modeling_esmc.py.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor

from proteinx_pipelines.stages.embedding.esm2_engine import DTYPES, MASK, TOKENS_OF_RESIDUES, esm2_tokens
from proteinx_pipelines.stages.embedding.model_folder import ModelFolder, needed, tensors_of
from proteinx_pipelines.stages.embedding.pooling import pooled

_REFERENCE_LAYERS = 36
"""Depth at which branches are not scaled."""


class EsmcEngine:
    """Vectors of equally long sequences at one layer or several, and the head's logits."""

    def __init__(
        self, folder: ModelFolder, *, layer: int | Sequence[int] | None, pooling: str, precision: str
    ) -> None:
        """Read the weights of a folder, and check that they are whole.

        Args:
            folder: of the kind `esmc`.
            layer: 0 (token embedding) to the number of layers; None: the last. Of several, states stand side by side.
            pooling: as in `pooling.pooled`.
            precision: `fp32` or `bf16`.

        Raises:
            MissingWeights: weights are missing or damaged.
        """
        config = folder.config
        self.n_layers = int(config["num_hidden_layers"])
        self._width, self._n_heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision, self._dtype = precision, DTYPES[precision]
        self._wanted = (
            (self.n_layers,) if layer is None else (layer,) if isinstance(layer, int) else tuple(layer)
        )
        self.width = self._width * len(self._wanted)
        self._pooling = pooling
        self.forward_passes = self.sequences_embedded = 0
        rope = config.get("rope_parameters") or {}
        self._theta = float(rope.get("rope_theta", config.get("rope_theta", 10000.0)))
        self._scale = math.sqrt(self.n_layers / _REFERENCE_LAYERS)
        tensors = tensors_of(folder, ("esmc.", "model."))
        needed(tensors, _shapes(self.n_layers, self._width, config), folder.path)
        self._tensors = {name: self._placed(name, value) for name, value in tensors.items()}

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """uint8 [B, L] letters, bool [B, L] positions to float32 [B, D]."""
        with torch.inference_mode():
            states = self.states(torch.from_numpy(esm2_tokens(letters)).to(self.device))
            chosen = None if positions is None else torch.from_numpy(positions).to(self.device)
            vectors = pooled(states, self._pooling, chosen).cpu().numpy()
        self.forward_passes += 1
        self.sequences_embedded += len(letters)
        return np.asarray(vectors)

    def residue_states(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to float32 [B, L, D]."""
        with torch.inference_mode():
            states = self.states(torch.from_numpy(esm2_tokens(letters)).to(self.device))
        self.forward_passes += 1
        return np.asarray(states[:, 1:-1].cpu().numpy())

    def residue_log_odds(self, letters: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
        """Logits of the head, float32 [B, L, 20] as `AMINO_ACIDS`; `masked` (int64 [B]) hides one position each.

        Raises:
            MissingWeights: the folder has no head.
        """
        tokens = torch.from_numpy(esm2_tokens(letters))
        if masked is not None:
            tokens[torch.arange(len(masked)), torch.from_numpy(masked) + 1] = MASK
        with torch.inference_mode():
            states = self._through(tokens.to(self.device), (self.n_layers,))[:, 1:-1]
            hidden = F.gelu(self._linear(states, "lm_head.dense").float())
            hidden = self._normed(hidden, "lm_head.layer_norm")
            logits = self._linear(hidden, "lm_head.decoder").float()[:, :, TOKENS_OF_RESIDUES]
        self.forward_passes += 1
        return np.asarray(logits.cpu().numpy())

    @property
    def has_head(self) -> bool:
        """True if the folder has the language-model head."""
        return "lm_head.decoder.weight" in self._tensors

    def states(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] tokens to float32 [B, T, D] states at the wanted layers, side by side."""
        return self._through(tokens, self._wanted)

    def _through(self, tokens: Tensor, wanted: Sequence[int]) -> Tensor:
        x = F.embedding(tokens, self._tensors["embed_tokens.weight"])
        turns, kept = self._turns(tokens.shape[1]), {0: x}
        for number in range(max(wanted)):
            at = f"layers.{number}"
            x = x + self._attention(x, at, turns).float() / self._scale
            x = x + self._feed_forward(x, at).float() / self._scale
            kept[number + 1] = x
        if max(wanted) == self.n_layers:
            kept[self.n_layers] = self._normed(x, "norm")
        return torch.cat([kept[number] for number in wanted], dim=-1)

    def _attention(self, x: Tensor, at: str, turns: tuple[Tensor, Tensor]) -> Tensor:
        normed = self._normed(x, f"{at}.input_layernorm").to(self._dtype)
        q, k, v = (self._linear(normed, f"{at}.self_attn.{part}_proj") for part in "qkv")
        q = _turned(self._heads(self._normed(q.float(), f"{at}.self_attn.q_norm")), turns).to(self._dtype)
        k = _turned(self._heads(self._normed(k.float(), f"{at}.self_attn.k_norm")), turns).to(self._dtype)
        mixed = F.scaled_dot_product_attention(q, k, self._heads(v))
        return self._linear(mixed.transpose(1, 2).flatten(-2), f"{at}.self_attn.o_proj")

    def _feed_forward(self, x: Tensor, at: str) -> Tensor:
        normed = self._normed(x, f"{at}.post_attention_layernorm").to(self._dtype)
        gated = F.silu(self._linear(normed, f"{at}.mlp.gate_proj")) * self._linear(
            normed, f"{at}.mlp.up_proj"
        )
        return self._linear(gated, f"{at}.mlp.down_proj")

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self._n_heads, -1).transpose(1, 2)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        weight = self._tensors[f"{name}.weight"]
        bias = self._tensors.get(f"{name}.bias")
        return F.linear(x.to(weight.dtype), weight, None if bias is None else bias.to(weight.dtype))

    def _normed(self, x: Tensor, name: str) -> Tensor:
        weight = self._tensors[f"{name}.weight"]
        return F.layer_norm(x.float(), (len(weight),), weight, self._tensors.get(f"{name}.bias"))

    def _turns(self, n_tokens: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angle of each feature at each token, float32 [T, D/H]."""
        width = self._width // self._n_heads
        frequencies = 1.0 / self._theta ** (torch.arange(0, width, 2, device=self.device).float() / width)
        steps = torch.arange(n_tokens, device=self.device, dtype=torch.float32)
        angles = torch.outer(steps, frequencies).repeat(1, 2)
        return angles.cos(), angles.sin()

    def _placed(self, name: str, value: Tensor) -> Tensor:
        """Products in the chosen format; the token table, norms and the head in float32."""
        is_product = name.startswith("layers.") and "_proj." in name
        return value.to(self.device, self._dtype if is_product else torch.float32)


def _turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * turns[0] + torch.cat([-second, first], dim=-1) * turns[1]


def _shapes(n_layers: int, width: int, config: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters that a forward pass to the last layer reads."""
    inner = int(config["intermediate_size"])
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (int(config.get("vocab_size", 64)), width)}
    for number in range(n_layers):
        at = f"layers.{number}"
        shapes |= {f"{at}.self_attn.{part}_proj.weight": (width, width) for part in "qkvo"}
        shapes |= {f"{at}.self_attn.{part}_norm.weight": (width,) for part in "qk"}
        for norm in ("input_layernorm", "post_attention_layernorm"):
            shapes |= {f"{at}.{norm}.{end}": (width,) for end in ("weight", "bias")}
        shapes |= {f"{at}.mlp.{part}_proj.weight": (inner, width) for part in ("gate", "up")}
        shapes[f"{at}.mlp.down_proj.weight"] = (width, inner)
    return shapes | {"norm.weight": (width,)}
