"""Forward pass of ESM-2, equal to fair-esm's up to rounding, without the parts an embedding does not need.

Left out: attention maps, the contact head, layers after the requested one, padding. The language-model head is used
only for zero-shot scores.
Computed differently, with the same result: query, key and value in one product; rotary positions as one complex
multiplication (the rows of the query and key weights are reordered alike, which leaves every dot product unchanged);
the constant scale of token dropout folded into the token table.

Formats: `fp32` throughout, or `bf16` for weights and products; the residual stream, layer norms, rotary
angles and, on CPUs, attention stay float32 in both. Angles in bf16 would be off by up to 0.25 rad past position 32.

Source: Lin et al. 2023, doi:10.1126/science.ade2574; github.com/facebookresearch/esm, esm/model/esm2.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.esm2_weights import Esm2Weights
from proteinx_pipelines.stages.embedding.packed_linear import PackedLinear
from proteinx_pipelines.stages.embedding.pooling import pooled

BOS, EOS = 0, 2
"""Tokens before and behind the residues; fair-esm calls them `<cls>` and `<eos>`."""
FIRST_RESIDUE = 4
RESIDUE_ORDER = "LAGVSERTIDPKQNFYMHWC"
"""The twenty residues in the order of their tokens, from `FIRST_RESIDUE` (esm/constants.py)."""
MASK = 32
"""Token of a hidden residue; fair-esm calls it `<mask>`."""
TOKENS_OF_RESIDUES = [FIRST_RESIDUE + RESIDUE_ORDER.index(letter) for letter in AMINO_ACIDS]
"""Token of each residue of `AMINO_ACIDS`."""
TOKEN_DROPOUT_SCALE = 1 - 0.15 * 0.8
"""15 % of tokens were chosen in training, 80 % of those masked; nothing is masked here (esm#267)."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class _Layer:
    attention_norm: tuple[Tensor, Tensor]
    qkv: PackedLinear
    attention_out: PackedLinear
    feed_forward_norm: tuple[Tensor, Tensor]
    feed_forward_in: PackedLinear
    feed_forward_out: PackedLinear
    inverse_frequencies: Tensor


class Esm2Engine:
    """Vectors of equally long sequences at one layer or several, pooled on the device.

    `forward_passes` and `sequences_embedded` count the work done by this object.
    """

    def __init__(
        self,
        weights: Esm2Weights,
        *,
        layer: int | Sequence[int],
        pooling: str,
        precision: str,
        typical_tokens: int = 8192,
    ) -> None:
        """Prepare the layers up to `layer` (0: the token embedding alone) on the GPU if there is one.

        Args:
            weights: the checkpoint.
            layer: 0 to `weights.n_layers`; of several, the states stand side by side, from one pass.
            pooling: as in `pooling.pooled`.
            precision: `fp32` or `bf16`.
            typical_tokens: tokens in most batches; changes speed only.
        """
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._wanted = (layer,) if isinstance(layer, int) else tuple(layer)
        self._model_width = weights.width
        self.width = weights.width * len(self._wanted)
        self.forward_passes = 0
        self.sequences_embedded = 0
        self._pooling = pooling
        self.precision = precision
        self._dtype = DTYPES[precision]
        # On processors the fused attention of short sequences is faster in float32, and exact.
        self._attention_dtype = self._dtype if self.device.type == "cuda" else torch.float32
        self._n_heads = weights.n_heads
        scale = TOKEN_DROPOUT_SCALE if weights.token_dropout else 1.0
        self._token_table = self._placed(weights, "embed_tokens.weight") * scale
        self._layers = [self._prepared(weights, index, typical_tokens) for index in range(max(self._wanted))]
        at_the_end = len(self._layers) == weights.n_layers
        self._final_norm = self._norm(weights, "emb_layer_norm_after") if at_the_end else None
        self._token_dropout, self._weights, self._typical_tokens = (
            weights.token_dropout,
            weights,
            typical_tokens,
        )
        self._turns: tuple[int, list[Tensor]] = (0, [])

    def embed(self, letters: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Embed B sequences of L residues.

        Args:
            letters: uint8 [B, L], one-letter codes of the twenty residues in ASCII.
            positions: bool [B, L], for pooling `mutated`: the positions to average over.

        Returns:
            float32 [B, D]; row i belongs to `letters[i]` and does not depend on the other rows (< 1e-5).
        """
        with torch.inference_mode():
            states = self.states(torch.from_numpy(self._tokens(letters)).to(self.device))
            chosen = None if positions is None else torch.from_numpy(positions).to(self.device)
            vectors = pooled(states, self._pooling, chosen).cpu().numpy()
        self.forward_passes += 1
        self.sequences_embedded += len(letters)
        return np.asarray(vectors)

    def residue_states(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to float32 [B, L, D], the states of the residues at the wanted layer."""
        with torch.inference_mode():
            states = self.states(torch.from_numpy(self._tokens(letters)).to(self.device))
        self.forward_passes += 1
        return np.asarray(states[:, 1:-1].cpu().numpy())

    def residue_log_odds(self, letters: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
        """Logits of the language-model head, whose differences at one position are log-odds.

        Args:
            letters: uint8 [B, L], one-letter codes in ASCII.
            masked: int64 [B], one position (from 0) of each sequence that the model does not see; or None.

        Returns:
            float32 [B, L, 20], in the order of `AMINO_ACIDS`.
        """
        tokens = torch.from_numpy(self._tokens(letters))
        if masked is not None:
            tokens[torch.arange(len(masked)), torch.from_numpy(masked) + 1] = self._mask
        with torch.inference_mode():
            states = self._at_the_end.states(tokens.to(self.device))
            logits = self._of_residues(self._head(states[:, 1:-1]))
        self.forward_passes += 1
        return np.asarray(logits.cpu().numpy())

    def _tokens(self, letters: np.ndarray) -> np.ndarray:
        """uint8 [B, L] letters to int64 [B, L + 2] tokens of the model's vocabulary."""
        own = self._weights.vocabulary
        if own is None:
            return esm2_tokens(letters)
        return framed_tokens(letters, AMINO_ACIDS, own.residues, own.bos, own.eos)

    @property
    def _mask(self) -> int:
        own = self._weights.vocabulary
        return MASK if own is None else own.mask

    def _of_residues(self, logits: Tensor) -> Tensor:
        """Logits [..., V] of all tokens to those of the residues, [..., 20]."""
        own = self._weights.vocabulary
        if own is None:
            return logits[..., TOKENS_OF_RESIDUES]
        return torch.stack([logits[..., list(group)].logsumexp(dim=-1) for group in own.groups], dim=-1)

    @property
    def _at_the_end(self) -> "Esm2Engine":
        """An engine of the last layer alone, where the head reads: this one if it is."""
        return self if self._wanted == (self._weights.n_layers,) else self._complete

    @cached_property
    def _complete(self) -> "Esm2Engine":
        """Cached: masked marginals need it in every batch."""
        return Esm2Engine(
            self._weights, layer=self._weights.n_layers, pooling=self._pooling, precision=self.precision,
            typical_tokens=self._typical_tokens,
        )  # fmt: skip

    def _head(self, states: Tensor) -> Tensor:
        """float32 [..., D] states of the last layer to logits [..., 33]."""
        hidden = F.gelu(F.linear(states, *self._norm(self._weights, "lm_head.dense")))
        hidden = F.layer_norm(hidden, (self._model_width,), *self._norm(self._weights, "lm_head.layer_norm"))
        tied = "lm_head.weight" not in self._weights.tensors
        table = self._placed(self._weights, "embed_tokens.weight" if tied else "lm_head.weight")
        return F.linear(hidden, table, self._placed(self._weights, "lm_head.bias"))

    def _embedded(self, tokens: Tensor) -> Tensor:
        """Token states before the first layer; a hidden token's are 0 where the model was trained so."""
        x = F.embedding(tokens, self._token_table)
        # SaProt hides a residue behind a token that it has learned, not behind an empty one.
        hidden = tokens == (MASK if self._weights.vocabulary is None else -1)
        if self._token_dropout and bool(hidden.any()):
            # The scale makes up for the share of hidden tokens (fair-esm, ESM2.forward).
            seen = 1.0 - hidden.float().mean(dim=1)
            x = x.masked_fill(hidden.unsqueeze(-1), 0.0) / seen[:, None, None]
        return x

    def states(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] tokens to float32 [B, T, D] states at the wanted layers, side by side."""
        x = self._embedded(tokens)
        kept = {0: x.clone()} if 0 in self._wanted and self._layers else {}
        for number, (layer, turns) in enumerate(
            zip(self._layers, self._rotary_turns(tokens.shape[1]), strict=True), 1
        ):
            x = x.add_(self._attention(self._normed(x, layer.attention_norm), layer, turns))
            hidden = layer.feed_forward_in(self._normed(x, layer.feed_forward_norm))
            x = x.add_(layer.feed_forward_out(hidden))
            if number in self._wanted and number < len(self._layers):
                kept[number] = x.clone()
        if self._final_norm is not None:
            x = F.layer_norm(x, (self._model_width,), *self._final_norm)
        return x if len(self._wanted) == 1 else torch.cat([kept.get(n, x) for n in self._wanted], dim=-1)

    def _attention(self, x: Tensor, layer: _Layer, turns: Tensor) -> Tensor:
        qkv = layer.qkv(x).view(*x.shape[:2], 3 * self._n_heads, -1)  # [B, T, 3H, D/H]
        qk, v = qkv[:, :, : 2 * self._n_heads], qkv[:, :, 2 * self._n_heads :]
        pairs = torch.view_as_complex(qk.float().view(*qk.shape[:3], -1, 2))
        q, k = torch.view_as_real(pairs * turns).flatten(-2).to(self._attention_dtype).chunk(2, dim=2)
        v = v.to(self._attention_dtype)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        return layer.attention_out(mixed.transpose(1, 2).flatten(-2).to(self._dtype))

    def _normed(self, x: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
        return F.layer_norm(x, (self._model_width,), *norm).to(self._dtype)

    def _rotary_turns(self, n_tokens: int) -> list[Tensor]:
        """For each layer, complex64 [T, 1, D/2H]: the turn of each pair of features at each token."""
        if self._turns[0] != n_tokens:
            steps = torch.arange(n_tokens, device=self.device, dtype=torch.float32)
            angles = [torch.outer(steps, layer.inverse_frequencies).unsqueeze(1) for layer in self._layers]
            self._turns = n_tokens, [torch.polar(torch.ones_like(angle), angle) for angle in angles]
        return self._turns[1]

    def _prepared(self, weights: Esm2Weights, index: int, typical_tokens: int) -> _Layer:
        at = f"layers.{index}"
        head_width = self._model_width // self._n_heads
        frequencies = weights.tensors.get(f"{at}.self_attn.rot_emb.inv_freq")
        if frequencies is None:
            frequencies = 1.0 / 10000 ** (torch.arange(0, head_width, 2).float() / head_width)
        qkv = [self._linear_parts(weights, f"{at}.self_attn.{part}_proj") for part in "qkv"]
        rows = _pairs_side_by_side(self._n_heads, head_width).to(self.device)
        qkv[:2] = [(weight[rows], bias[rows]) for weight, bias in qkv[:2]]

        def linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> PackedLinear:
            return PackedLinear(weight, bias, typical_tokens, gelu=gelu)

        return _Layer(
            attention_norm=self._norm(weights, f"{at}.self_attn_layer_norm"),
            qkv=linear(torch.cat([weight for weight, _ in qkv]), torch.cat([bias for _, bias in qkv])),
            attention_out=linear(*self._linear_parts(weights, f"{at}.self_attn.out_proj")),
            feed_forward_norm=self._norm(weights, f"{at}.final_layer_norm"),
            feed_forward_in=linear(*self._linear_parts(weights, f"{at}.fc1"), gelu=True),
            feed_forward_out=linear(*self._linear_parts(weights, f"{at}.fc2")),
            inverse_frequencies=frequencies.float().to(self.device),
        )

    def _placed(self, weights: Esm2Weights, name: str) -> Tensor:
        return weights.tensors[name].detach().to(self.device, torch.float32)

    def _norm(self, weights: Esm2Weights, name: str) -> tuple[Tensor, Tensor]:
        return self._placed(weights, f"{name}.weight"), self._placed(weights, f"{name}.bias")

    def _linear_parts(self, weights: Esm2Weights, name: str) -> tuple[Tensor, Tensor]:
        weight, bias = self._norm(weights, name)
        return weight.to(self._dtype), bias.to(self._dtype)


def esm2_tokens(letters: np.ndarray) -> np.ndarray:
    """uint8 [B, L] letters in ASCII to int64 [B, L + 2] tokens, BOS before and EOS behind.

    Letters must be of the twenty residues; `letters.checked_sequences` has checked that.
    """
    places = range(FIRST_RESIDUE, FIRST_RESIDUE + len(RESIDUE_ORDER))
    return framed_tokens(letters, RESIDUE_ORDER, places, BOS, EOS)


def framed_tokens(
    letters: np.ndarray, alphabet: str, tokens_of: Sequence[int], bos: int, eos: int
) -> np.ndarray:
    """uint8 [B, L] letters to int64 [B, L + 2] tokens between `bos` and `eos`; `tokens_of` those of `alphabet`."""
    token_of = np.full(256, -1, dtype=np.int64)
    token_of[np.frombuffer(alphabet.encode(), np.uint8)] = np.asarray(tokens_of)
    tokens = np.full((letters.shape[0], letters.shape[1] + 2), bos, dtype=np.int64)
    tokens[:, 1:-1] = token_of[letters]
    tokens[:, -1] = eos
    return tokens


def _pairs_side_by_side(n_heads: int, head_width: int) -> Tensor:
    """Row order that puts features i and i + width/2 of each head (rotated as one pair) beside each other."""
    within = torch.arange(head_width).view(2, -1).t().reshape(-1)
    return (torch.arange(n_heads).unsqueeze(1) * head_width + within).reshape(-1)
