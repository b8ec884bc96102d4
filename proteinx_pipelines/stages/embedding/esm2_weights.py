"""Find and read an ESM-2 checkpoint in fair-esm's format, or a folder in Hugging Face's (`esm2_folder`).

A checkpoint is always read with `weights_only=True`, so nothing in the file can run. The file with the weights of
the contact head (`...-contact-regression.pt`) is not needed. Downloads go to fair-esm's own cache folder.

Source: github.com/facebookresearch/esm, esm/pretrained.py (names, URLs, prefixes of the keys).
"""

import argparse
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  (the error that torch.load raises; nothing is unpickled)
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.domain.embedders import ESM_WIDTHS, esm_layers
from proteinx_pipelines.errors import FlagError, MissingWeights
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.download import download
from proteinx_pipelines.stages.embedding.esm2_folder import esm2_of_folder
from proteinx_pipelines.stages.embedding.esm2_parameters import Esm2Weights as Esm2Weights
from proteinx_pipelines.stages.embedding.esm2_parameters import expected_shapes as expected_shapes
from proteinx_pipelines.stages.embedding.model_folder import is_model_folder, read_folder

if TYPE_CHECKING:
    from torch import Tensor

FAIR_ESM_URL = "https://dl.fbaipublicfiles.com/fair-esm/models"
"""Address of fair-esm's checkpoints."""
WIDTHS = ESM_WIDTHS
"""D of the ESM-2 models by number of layers (Lin et al. 2023, doi:10.1126/science.ade2574, table S1)."""
_PREFIXES = ("encoder.sentence_encoder.", "encoder.")


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
        if not given.is_file() and not is_model_folder(given):
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
    """Read a checkpoint, a file or a folder, and check that it is `name`'s architecture, whole and finite.

    Raises:
        MissingWeights: the file is not a checkpoint in fair-esm's form, or is damaged; replace it.
        FlagError: it is one of another architecture; correct `embedding.name` or `embedding.weights`.
    """
    expected = (esm_layers(name), WIDTHS[esm_layers(name)])
    if path.is_dir():
        weights = esm2_of_folder(read_folder(path))
        if (weights.n_layers, weights.width) != expected:
            raise FlagError([_mismatch(name, path, (weights.n_layers, weights.width), expected)])
        return weights
    document = _read_document(name, path)
    config = document["cfg"]["model"]
    tensors = {_without_prefix(key): tensor for key, tensor in document["model"].items()}
    found = (int(config.encoder_layers), int(config.encoder_embed_dim))
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
