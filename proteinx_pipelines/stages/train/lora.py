"""Linear layers for fine-tuning: all weights trained, or a frozen weight with a low-rank correction.

Frozen weights are buffers outside the state: a checkpoint and an exported model hold what was trained, and the rest is
read from the model's own file again.

Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor, nn


class TunedLinear(nn.Module):
    """`y = x (W + s B A)^T + b`: W and b trained or frozen, A and B absent if the rank is 0."""

    weight: Tensor
    bias: Tensor

    def __init__(
        self, weight: Tensor, bias: Tensor, *, trained: bool, rank: int, scale: float, dropout: float
    ) -> None:
        """Take the weights.

        Args:
            weight: float32 [n_out, n_in].
            bias: float32 [n_out].
            trained: True if they are trained themselves.
            rank: of the correction; 0 for none.
            scale: `s`, alpha / rank.
            dropout: of the correction's input.
        """
        super().__init__()
        hold(self, "weight", weight, trained=trained)
        hold(self, "bias", bias, trained=trained)
        self._scale, self._dropout = scale, dropout
        self.down = self.up = None
        if rank:
            self.down = nn.Parameter(torch.empty(rank, weight.shape[1]))
            nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
            self.up = nn.Parameter(
                torch.zeros(weight.shape[0], rank)
            )  # so that training starts at the model itself

    def forward(self, x: Tensor) -> Tensor:
        """Float [..., n_in] to float [..., n_out]."""
        y = F.linear(x, self.weight, self.bias)
        if self.down is None or self.up is None:
            return y
        low = F.linear(F.dropout(x, self._dropout, self.training), self.down)
        return y + self._scale * F.linear(low, self.up)


def hold(module: nn.Module, name: str, value: Tensor, *, trained: bool) -> None:
    """Keep a tensor in a module, as a parameter that is trained or as a buffer that no state contains."""
    copied = value.detach().to(torch.float32).clone()
    if trained:
        module.register_parameter(name, nn.Parameter(copied))
    else:
        module.register_buffer(name, copied, persistent=False)
