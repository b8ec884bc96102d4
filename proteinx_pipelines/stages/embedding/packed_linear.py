"""Fast matrix products on CPUs: weights packed once into the layout that the kernels need.

PyTorch sends float32 products on x86 to MKL, which on processors of other makers than Intel leaves half of
the vector unit idle; oneDNN, which comes with every x86 build, does not, and prepares the weights once
instead of at every call. The two operators used are the ones PyTorch's own compiler emits; they are not
public, so they are named here and nowhere else, and a test compares them with `torch.nn.functional.linear`.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch import Tensor


def oneDNN_is_available() -> bool:  # noqa: N802  (its name)
    """True if this build of PyTorch has the operators that `PackedLinear` uses."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _oneDNN_multiplies(dtype: torch.dtype) -> bool:  # noqa: N802  (its name)
    """True if oneDNN supports this product on this processor; on x86 its bf16 products need AVX-512."""
    if not oneDNN_is_available():
        return False
    return dtype != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001


class PackedLinear:
    """`y = x W^T + b` with constant weights, or GELU(y), which costs no further pass over the result."""

    def __init__(self, weight: Tensor, bias: Tensor, typical_rows: int, *, gelu: bool = False) -> None:
        """Store the weights.

        Args:
            weight: float [n_out, n_in], on the device and of the dtype that inputs will have.
            bias: float [n_out].
            typical_rows: number of rows of most inputs; other numbers give the same result, more slowly.
            gelu: apply the exact GELU (the one with erf).
        """
        self._gelu = gelu
        self._bias = bias
        self._packed = weight.device.type == "cpu" and _oneDNN_multiplies(weight.dtype)
        self._weight = weight.contiguous()
        if self._packed:
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight, typical_rows)  # noqa: SLF001

    def __call__(self, x: Tensor) -> Tensor:
        """Multiply each row of `x`: float [..., n_in] to float [..., n_out]."""
        if self._packed:
            linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
            activation, variant = ("gelu", "none") if self._gelu else ("none", "")
            result: Tensor = linear(x, self._weight, self._bias, activation, [], variant)
            return result
        y = F.linear(x, self._weight, self._bias)
        return F.gelu(y) if self._gelu else y
