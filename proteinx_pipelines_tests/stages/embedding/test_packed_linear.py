import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from proteinx_pipelines.stages.embedding import packed_linear
from proteinx_pipelines.stages.embedding.packed_linear import PackedLinear, oneDNN_is_available


@pytest.mark.parametrize("shape", [(1, 32), (7, 32), (3, 5, 32), (200, 32)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("gelu", [False, True])
def test_the_packed_product_is_the_plain_one(shape, dtype, tolerance, gelu):
    """Whatever the number of rows, and whatever number the weights were packed for."""
    torch.manual_seed(0)
    weight, bias, x = torch.randn(48, 32).to(dtype), torch.randn(48).to(dtype), torch.randn(shape).to(dtype)
    with torch.inference_mode():
        found = PackedLinear(weight, bias, typical_rows=64, gelu=gelu)(x)
    assert found.dtype == dtype
    plain = F.linear(x, weight, bias)
    torch.testing.assert_close(found, F.gelu(plain) if gelu else plain, rtol=tolerance, atol=tolerance)


def test_a_build_without_the_operators_uses_the_plain_product(monkeypatch):
    monkeypatch.setattr(packed_linear, "oneDNN_is_available", lambda: False)
    weight, bias, x = torch.randn(4, 3), torch.randn(4), torch.randn(2, 3)
    assert torch.equal(PackedLinear(weight, bias, 1)(x), F.linear(x, weight, bias))
    assert torch.equal(PackedLinear(weight, bias, 1, gelu=True)(x), F.gelu(F.linear(x, weight, bias)))


def test_a_build_with_onednn_has_the_operators_under_their_names():
    """They are private to PyTorch: when a release renames them, speed would be lost without a word."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of PyTorch has no oneDNN")
    assert oneDNN_is_available()


def test_a_processor_without_bf16_products_emulates_them(monkeypatch):
    """On x86 without AVX-512 oneDNN refuses bf16 weights, and so did the whole embedding."""
    if not oneDNN_is_available():
        pytest.skip("this build of PyTorch has no oneDNN")
    reorder = torch.ops.mkldnn._reorder_linear_weight

    def refusing(weight, rows):
        if weight.dtype == torch.bfloat16:
            raise RuntimeError("mkldnn_reorder_linear_weight: bf16 path needs the cpu support avx512")
        return reorder(weight, rows)

    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", refusing)
    weight, bias, x = (torch.randn(shape).bfloat16() for shape in ((4, 3), (4,), (2, 3)))
    assert torch.equal(PackedLinear(weight, bias, 1)(x), F.linear(x, weight, bias))
    assert PackedLinear(weight.float(), bias.float(), 1)._packed
