"""Find and read an ESM-2 checkpoint in fair-esm's format.

A checkpoint is always read with `weights_only=True`, so nothing in the file can run. The file with the weights of
the contact head (`...-contact-regression.pt`) is not needed. Downloads go to fair-esm's own cache folder.

Source: github.com/facebookresearch/esm, esm/pretrained.py (names, URLs, prefixes of the keys).
"""

import argparse
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  (the error that torch.load raises; nothing is unpickled)
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.domain.embedders import ESM_WIDTHS, esm_layers
from proteinx_pipelines.errors import FlagError, MissingWeights
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.download import download

if TYPE_CHECKING:
    from torch import Tensor

FAIR_ESM_URL = "https://dl.fbaipublicfiles.com/fair-esm/models"
"""Address of fair-esm's checkpoints."""
WIDTHS = ESM_WIDTHS
"""D of the ESM-2 models by number of layers (Lin et al. 2023, doi:10.1126/science.ade2574, table S1)."""
_PREFIXES = ("encoder.sentence_encoder.", "encoder.")


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


def cached_weights_path(name: str) -> Path:
    """Path at which fair-esm (through torch.hub) caches the checkpoint `name`; the file need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    torch_home = os.environ.get("TORCH_HOME") or f"{cache}/torch"
    return Path(torch_home).expanduser() / "hub" / "checkpoints" / f"{name}.pt"


def find_weights(name: str, given: Path | None, monitor: StageMonitor) -> Path:
    """Return the checkpoint's file: the given one, fair-esm's cached one, or a fresh download.

    Raises:
        MissingWeights: there is none and it could not be downloaded; the message says where to put it.
    """
    if given is not None:
        if not given.is_file():
            raise MissingWeights(
                f"`embedding.weights` is {str(given)!r}, and there is no such file on this node. "
                f"{_where_to_put(name)}"
            )
        return given
    cached = cached_weights_path(name)
    if not cached.is_file():
        try:
            download(f"{FAIR_ESM_URL}/{name}.pt", cached, monitor)
        except OSError as error:
            raise MissingWeights(
                f"The checkpoint of {name} is not on this node, and downloading {FAIR_ESM_URL}/{name}.pt "
                f"did not work ({error}). {_where_to_put(name)}"
            ) from error
    return cached


def read_weights(name: str, path: Path) -> Esm2Weights:
    """Read a checkpoint and check that it is `name`'s architecture, whole and finite.

    Raises:
        MissingWeights: the file is not a checkpoint in fair-esm's form, or is damaged; replace it.
        FlagError: it is one of another architecture; correct `embedding.name` or `embedding.weights`.
    """
    document = _read_document(name, path)
    config = document["cfg"]["model"]
    tensors = {_without_prefix(key): tensor for key, tensor in document["model"].items()}
    found = (int(config.encoder_layers), int(config.encoder_embed_dim))
    expected = (esm_layers(name), WIDTHS[esm_layers(name)])
    if found != expected:
        raise FlagError([_mismatch(name, path, found, expected)])
    _check_tensors(name, path, tensors, *expected)
    return Esm2Weights(
        name=name,
        sha256=file_sha256(path),
        n_layers=expected[0],
        n_heads=int(config.encoder_attention_heads),
        width=expected[1],
        token_dropout=bool(config.token_dropout),
        tensors=tensors,
    )


def _read_document(name: str, path: Path) -> dict[str, Any]:
    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            # Mapped files are read as their tensors are used: half the memory for the large models.
            document = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        if not isinstance(document["cfg"]["model"].encoder_layers, int) or not document["model"]:
            raise TypeError("its `cfg` or `model` is empty")
    except (
        UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MissingWeights(
            f"{path} is not a checkpoint in fair-esm's form, with `cfg` and `model` ({reason}). "
            f"{_where_to_put(name)}"
        ) from error
    return dict(document)


def _check_tensors(name: str, path: Path, tensors: Mapping[str, "Tensor"], layers: int, width: int) -> None:
    problems = []
    for key, shape in expected_shapes(layers, width).items():
        if key not in tensors:
            problems.append(f"{key} is missing")
        elif tuple(tensors[key].shape) != shape:
            problems.append(f"{key} is {tuple(tensors[key].shape)}, {shape} is expected")
        elif not bool(tensors[key].isfinite().all()):
            problems.append(f"{key} has NaN or infinite numbers")
    if problems:
        raise MissingWeights(f"{path} is damaged: {'; '.join(problems)}. {_where_to_put(name)}")


def expected_shapes(n_layers: int, width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters that a forward pass to the last layer reads."""
    square, wide = (width, width), 4 * width
    shapes: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (33, width)}
    for layer in range(n_layers):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes[f"layers.{layer}.self_attn.{part}.weight"] = square
            shapes[f"layers.{layer}.self_attn.{part}.bias"] = (width,)
        for norm in ("self_attn_layer_norm", "final_layer_norm"):
            shapes |= {f"layers.{layer}.{norm}.{end}": (width,) for end in ("weight", "bias")}
        shapes |= {f"layers.{layer}.fc1.weight": (wide, width), f"layers.{layer}.fc1.bias": (wide,)}
        shapes |= {f"layers.{layer}.fc2.weight": (width, wide), f"layers.{layer}.fc2.bias": (width,)}
    return shapes | {f"emb_layer_norm_after.{end}": (width,) for end in ("weight", "bias")}


def _without_prefix(key: str) -> str:
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


def _mismatch(name: str, path: Path, found: tuple[int, int], expected: tuple[int, int]) -> str:
    return (
        f"`embedding.weights`: {path} has {found[0]} layers of width {found[1]}, and `embedding.name` {name} "
        f"has {expected[0]} of width {expected[1]}. Name the model that the file holds, or another file."
    )


def _where_to_put(name: str) -> str:
    return (
        f"Put fair-esm's {name}.pt at {cached_weights_path(name)}, or anywhere on this node and name its "
        f"path in `embedding.weights`. It is published at {FAIR_ESM_URL}/{name}.pt."
    )
