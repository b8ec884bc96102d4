"""Forward pass of ESM-2 that can be trained: equal to `stages.embedding.esm2_engine` up to rounding, with gradients.

Unlike there, sequences of a batch may have different lengths: padding is hidden from attention. Activations of a layer
can be computed again in the backward pass instead of kept (`checkpointing`), and lower layers can stay as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from proteinx_pipelines.stages.embedding.esm2_engine import TOKEN_DROPOUT_SCALE
from proteinx_pipelines.stages.embedding.esm2_weights import Esm2Weights
from proteinx_pipelines.stages.train.lora import TunedLinear, hold

PAD = 1
"""Token behind the end of a shorter sequence."""
PARTS = ("query", "key", "value", "out", "fc1", "fc2")
"""Linear layers of a transformer layer, by the names of `model.lora_targets`."""
_NAMES = {
    "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj", "out": "self_attn.out_proj",
    "fc1": "fc1", "fc2": "fc2",
}  # fmt: skip


@dataclass(frozen=True)
class Tuning:
    """What is trained of a language model."""

    method: str
    """`lora`, `full` or `head` (nothing of the model)."""
    layers: int
    """Number of layers from the last one that are trained."""
    rank: int
    alpha: float
    dropout: float
    targets: Sequence[str]
    """Names of `PARTS` that get a correction, with `lora`."""
    checkpointing: bool


class Esm2Network(nn.Module):
    """int64 [B, T] tokens to float32 [B, T, D] states of the last layer."""

    table: Tensor

    def __init__(self, weights: Esm2Weights, tuning: Tuning) -> None:
        super().__init__()
        is_full = tuning.method == "full"
        whole = is_full and tuning.layers >= weights.n_layers
        scale = TOKEN_DROPOUT_SCALE if weights.token_dropout else 1.0
        hold(self, "table", weights.tensors["embed_tokens.weight"].float() * scale, trained=whole)
        first = weights.n_layers if tuning.method == "head" else max(0, weights.n_layers - tuning.layers)
        self.layers = nn.ModuleList(
            [_Layer(weights, number, tuning, is_tuned=number >= first) for number in range(weights.n_layers)]
        )
        self.norm = _norm(weights, "emb_layer_norm_after", trained=is_full)
        self._first_tuned = 0 if whole else first
        self._checkpointing = tuning.checkpointing

    def forward(self, tokens: Tensor) -> Tensor:
        """States of the last layer; those of padding mean nothing."""
        is_padding = tokens == PAD
        seen = ~is_padding[:, None, None, :] if bool(is_padding.any()) else None
        turns = self.layers[0].turns(tokens.shape[1])  # type: ignore[operator]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._first_tuned == 0):
            x = F.embedding(tokens, self.table).masked_fill(is_padding.unsqueeze(-1), 0.0)
        for number, layer in enumerate(self.layers):
            is_tuned = number >= self._first_tuned and torch.is_grad_enabled()
            if is_tuned and self._checkpointing and self.training:
                x = checkpoint(layer, x, seen, turns, use_reentrant=False)
                continue
            with torch.set_grad_enabled(is_tuned):
                x = layer(x, seen, turns)
        return torch.as_tensor(self.norm(x))


class _Layer(nn.Module):
    inverse_frequencies: Tensor

    def __init__(self, weights: Esm2Weights, number: int, tuning: Tuning, *, is_tuned: bool) -> None:
        super().__init__()
        at = f"layers.{number}"
        trained = is_tuned and tuning.method == "full"

        def linear(part: str) -> TunedLinear:
            name = f"{at}.{_NAMES[part]}"
            has_correction = is_tuned and tuning.method == "lora" and part in tuning.targets
            return TunedLinear(
                weights.tensors[f"{name}.weight"], weights.tensors[f"{name}.bias"], trained=trained,
                rank=tuning.rank if has_correction else 0, scale=tuning.alpha / tuning.rank, dropout=tuning.dropout,
            )  # fmt: skip

        for part in PARTS:
            self.add_module(part, linear(part))
        self.attention_norm = _norm(weights, f"{at}.self_attn_layer_norm", trained=trained)
        self.feed_forward_norm = _norm(weights, f"{at}.final_layer_norm", trained=trained)
        self._n_heads = weights.n_heads
        head_width = weights.width // weights.n_heads
        frequencies = weights.tensors.get(f"{at}.self_attn.rot_emb.inv_freq")
        if frequencies is None:
            frequencies = 1.0 / 10000 ** (torch.arange(0, head_width, 2).float() / head_width)
        hold(self, "inverse_frequencies", frequencies, trained=False)

    def turns(self, n_tokens: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the angle of each feature at each token, float32 [T, D/H]; the same in every layer."""
        steps = torch.arange(n_tokens, device=self.inverse_frequencies.device, dtype=torch.float32)
        angles = torch.outer(steps, self.inverse_frequencies).repeat(1, 2)
        return angles.cos(), angles.sin()

    def forward(self, x: Tensor, seen: Tensor | None, turns: tuple[Tensor, Tensor]) -> Tensor:
        """Float [B, T, D] states, bool [B, 1, 1, T] tokens that are no padding (None: all) to the next states."""
        normed = self.attention_norm(x)
        q, k, v = (self._heads(part, normed) for part in ("query", "key", "value"))
        q, k = _turned(q, turns), _turned(k, turns)
        mixed = F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=seen)
        x = x + self.get_submodule("out")(mixed.transpose(1, 2).flatten(-2))
        hidden = F.gelu(self.get_submodule("fc1")(self.feed_forward_norm(x)))
        return torch.as_tensor(x + self.get_submodule("fc2")(hidden))

    def _heads(self, part: str, x: Tensor) -> Tensor:
        found: Tensor = self.get_submodule(part)(x)
        return found.view(*x.shape[:2], self._n_heads, -1).transpose(1, 2)


def _turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions, in float32: angles in bf16 would be off by up to a quarter of a radian."""
    x = x.float()
    first, second = x.chunk(2, dim=-1)
    return x * turns[0] + torch.cat([-second, first], dim=-1) * turns[1]


class _Norm(nn.Module):
    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, trained: bool) -> None:
        super().__init__()
        hold(self, "weight", weight, trained=trained)
        hold(self, "bias", bias, trained=trained)

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias)


def _norm(weights: Esm2Weights, name: str, *, trained: bool) -> _Norm:
    return _Norm(weights.tensors[f"{name}.weight"], weights.tensors[f"{name}.bias"], trained=trained)
