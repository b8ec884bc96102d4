"""ESM-2 in Hugging Face's form, renamed to fair-esm's parameters: read by the same forward pass. SaProt likewise.

SaProt's tokens are pairs of a residue and a letter of its structure; without a structure the letter is `#`, which the
model has learned as unknown. Token numbers come from `vocab.txt`.

Source: transformers, models/esm/modeling_esm.py; Su et al. 2024, ICLR (SaProt).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proteinx_pipelines.errors import MissingWeights
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.embedding.esm2_parameters import Esm2Weights, Vocabulary, expected_shapes
from proteinx_pipelines.stages.embedding.model_folder import ModelFolder, needed, tensors_of

if TYPE_CHECKING:
    from torch import Tensor

_PARTS = {
    "attention.self.query": "self_attn.q_proj",
    "attention.self.key": "self_attn.k_proj",
    "attention.self.value": "self_attn.v_proj",
    "attention.output.dense": "self_attn.out_proj",
    "attention.LayerNorm": "self_attn_layer_norm",
    "intermediate.dense": "fc1",
    "output.dense": "fc2",
    "LayerNorm": "final_layer_norm",
}
_ROTARY = "attention.self.rotary_embeddings.inv_freq"
_UNKNOWN_STRUCTURE = "#"
_EPSILON, _THETA = 1e-5, 10000.0


def esm2_of_folder(folder: ModelFolder) -> Esm2Weights:
    """Weights of an ESM-2 or a SaProt by fair-esm's names.

    Raises:
        MissingWeights: the model is of another architecture (absolute positions), or weights are missing or damaged.
    """
    config = folder.config
    if folder.kind != "esm" or config.get("position_embedding_type", "absolute") != "rotary":
        raise MissingWeights(
            f"{folder.path} is a {folder.kind!r} with {config.get('position_embedding_type', 'absolute')} positions; "
            "an ESM-2 with rotary positions is expected."
        )
    n_layers, width = int(config["num_hidden_layers"]), int(config["hidden_size"])
    _check_forward(folder)
    found = _renamed(tensors_of(folder, ("esm.",)), n_layers)
    table = found.get("embed_tokens.weight")
    shapes = expected_shapes(n_layers, width, n_tokens=33 if table is None else len(table))
    needed(found, shapes, folder.path)
    return Esm2Weights(
        name=folder.path.name,
        sha256=folder.sha256,
        n_layers=n_layers,
        n_heads=int(config["num_attention_heads"]),
        width=width,
        token_dropout=bool(config.get("token_dropout", False)),
        tensors=found,
        vocabulary=_vocabulary(folder.path) if table is not None and len(table) != 33 else None,
    )


def _check_forward(folder: ModelFolder) -> None:
    """Refuse settings that the forward pass does not follow.

    Raises:
        MissingWeights: names them.
    """
    config = folder.config
    problems = []
    if config.get("emb_layer_norm_before"):
        problems.append("a norm before its first layer")
    if abs(float(config.get("layer_norm_eps", _EPSILON)) - _EPSILON) > 1e-9:
        problems.append(f"norms with {config['layer_norm_eps']} added to the variance, not {_EPSILON}")
    if float(config.get("rope_theta", _THETA)) != _THETA:
        problems.append(f"rotary positions of base {config['rope_theta']}, not {_THETA}")
    if problems:
        raise MissingWeights(
            f"{folder.path} has {' and '.join(problems)}; an ESM-2 as published is expected."
        )


def _renamed(tensors: Mapping[str, "Tensor"], n_layers: int) -> dict[str, "Tensor"]:
    names = {"embeddings.word_embeddings.weight": "embed_tokens.weight"}
    for end in ("weight", "bias"):
        names[f"encoder.emb_layer_norm_after.{end}"] = f"emb_layer_norm_after.{end}"
        for part in ("dense", "layer_norm"):
            names[f"lm_head.{part}.{end}"] = f"lm_head.{part}.{end}"
        for number in range(n_layers):
            for theirs, ours in _PARTS.items():
                names[f"encoder.layer.{number}.{theirs}.{end}"] = f"layers.{number}.{ours}.{end}"
    for number in range(n_layers):
        names[f"encoder.layer.{number}.{_ROTARY}"] = f"layers.{number}.self_attn.rot_emb.inv_freq"
    # Some files have gamma and beta for the weight and the bias of a norm.
    tensors = {
        name.replace(".gamma", ".weight").replace(".beta", ".bias"): value for name, value in tensors.items()
    }
    names |= {"lm_head.bias": "lm_head.bias", "lm_head.decoder.weight": "lm_head.weight"}
    return {ours: tensors[theirs] for theirs, ours in names.items() if theirs in tensors}


def _vocabulary(path: Path) -> Vocabulary:
    """Tokens of SaProt, from `vocab.txt`.

    Raises:
        MissingWeights: the file is missing, or has other tokens.
    """
    file = path / "vocab.txt"
    listed = file.read_text(encoding="utf-8").split() if file.is_file() else []
    places = {token: number for number, token in enumerate(listed)}
    wanted = [f"{letter}{_UNKNOWN_STRUCTURE}" for letter in (*AMINO_ACIDS, _UNKNOWN_STRUCTURE)]
    if lacking := [token for token in ("<cls>", "<eos>", *wanted) if token not in places]:
        raise MissingWeights(
            f"{file} lacks the tokens {', '.join(lacking[:5])}; those of ESM-2 (33) or of SaProt (A#, C#, ...) are "
            "expected."
        )
    pairs = [token for token in listed if len(token) == 2]
    return Vocabulary(
        residues=tuple(places[token] for token in wanted[:-1]),
        groups=tuple(tuple(places[token] for token in pairs if token[0] == letter) for letter in AMINO_ACIDS),
        bos=places["<cls>"],
        eos=places["<eos>"],
        mask=places[wanted[-1]],
    )
