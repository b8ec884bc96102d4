"""The package `esm-cpp` (C++ and AVX-512, no PyTorch) as a peer: fair-esm's weights under the names that it reads.

It is no requirement of the project: `pip install --no-deps esm-cpp` adds it to the machine that measures.

Source: github.com/ayan-goel/esm-cpp; names of parameters: huggingface transformers, EsmModel.
"""

import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.torch import save_file
from torch import Tensor

_OF_LAYER = {
    "self_attn.q_proj": "attention.self.query", "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value", "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.LayerNorm", "fc1": "intermediate.dense", "fc2": "output.dense",
    "final_layer_norm": "LayerNorm", "self_attn.rot_emb": "attention.self.rotary_embeddings",
}  # fmt: skip


def is_installed() -> bool:
    """Whether the package is there."""
    return find_spec("esm_cpp") is not None


def embedder(state: Mapping[str, Tensor], *, int8: bool = False) -> Callable[[np.ndarray], np.ndarray]:
    """A function from int64 [B, T] tokens to float32 [B, D], means over the residues of the last layer's states.

    The package gives states for one sequence at a time; its batches give logits only.
    """
    import esm_cpp

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file(renamed(state), path, {"format": "pt"})
        model = esm_cpp.Model.load_from_safetensors(str(path))
    if int8:
        model.quantize_weights()

    def embed(tokens: np.ndarray) -> np.ndarray:
        last = [model.forward_with_hidden_states(row)[1][-1] for row in tokens.astype(np.int32)]
        return np.asarray(np.stack(last)[:, 1:-1].mean(axis=1))

    return embed


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """fair-esm's parameters under the names of transformers."""
    found = {"lm_head.decoder.weight": state["embed_tokens.weight"]}
    for name, tensor in state.items():
        if name.startswith("layers."):
            _, layer, rest = name.split(".", 2)
            part, _, end = rest.rpartition(".")
            if part in _OF_LAYER:
                found[f"esm.encoder.layer.{layer}.{_OF_LAYER[part]}.{end}"] = tensor
        elif name == "embed_tokens.weight":
            found["esm.embeddings.word_embeddings.weight"] = tensor
        elif name.startswith("emb_layer_norm_after"):
            found[f"esm.encoder.{name}"] = tensor
        elif name.startswith("lm_head") and name != "lm_head.weight":
            found[name] = tensor
    return {name: tensor.detach().float().contiguous().clone() for name, tensor in found.items()}
