"""Engine of a model's folder, by its kind: the forward pass of ESM-2 or of ESM-C, or an encoder of the T5 family."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from proteinx_pipelines.errors import FlagError, MissingWeights
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.stages.embedding.model_folder import ModelFolder, read_folder

if TYPE_CHECKING:
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
    from proteinx_pipelines.stages.embedding.esmc_engine import EsmcEngine
    from proteinx_pipelines.stages.embedding.t5_engine import T5Engine

    Engine = Esm2Engine | EsmcEngine | T5Engine

KINDS = {"esm": "num_hidden_layers", "esmc": "num_hidden_layers", "t5": "num_layers"}
"""`model_type` of a folder -> the entry of its `config.json` with the number of layers."""
_POOLINGS = {"mutated_difference": "mutated", "none": "mean", "per_residue": "mean"}


def open_folder(flags: EmbeddingFlags, path: Path) -> tuple["Engine", str]:
    """The engine of `embedding.name=folder`, and the digest of the folder.

    Raises:
        MissingWeights: it is no folder of a known kind, or is damaged. MissingPackage: the kind needs `transformers`.
        FlagError: the model has no such layer, pooling or score.
    """
    folder = read_folder(path)
    if folder.kind not in KINDS:
        raise MissingWeights(
            f"{path} is a model of the type {folder.kind!r}; one of {', '.join(KINDS)} is expected (ESM-2 and SaProt, "
            "ESM-C, ProtT5 and Ankh)."
        )
    n_layers = int(folder.config[KINDS[folder.kind]])
    layer = _checked_layer(flags.layer, n_layers, folder)
    pooling = _POOLINGS.get(flags.pooling, flags.pooling)
    precision = "fp32" if flags.precision == "auto" else flags.precision
    return _engine(folder, layer, pooling, precision, flags.tokens_per_batch), folder.sha256


def layers_of(flags: EmbeddingFlags, path: Path) -> int | tuple[int, ...]:
    """The layers that are read: those asked for, or the folder's last."""
    if flags.layer is not None:
        return flags.layer
    folder = read_folder(path)
    return int(folder.config[KINDS[folder.kind]])


def _checked_layer(
    asked: int | tuple[int, ...] | None, n_layers: int, folder: ModelFolder
) -> int | Sequence[int]:
    if asked is None:
        return n_layers
    chosen = (asked,) if isinstance(asked, int) else asked
    if max(chosen) > n_layers:
        raise FlagError(
            [f"`embedding.layer`: {folder.path.name} has {n_layers} layers; 0 to {n_layers} is expected"]
        )
    return asked


def _engine(
    folder: ModelFolder, layer: int | Sequence[int], pooling: str, precision: str, typical_tokens: int
) -> "Engine":
    if folder.kind == "esmc":
        from proteinx_pipelines.stages.embedding.esmc_engine import EsmcEngine

        return EsmcEngine(folder, layer=layer, pooling=pooling, precision=precision)
    if folder.kind == "t5":
        from proteinx_pipelines.stages.embedding.t5_engine import T5Engine

        return T5Engine(folder, layer=layer, pooling=pooling, precision=precision)
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
    from proteinx_pipelines.stages.embedding.esm2_folder import esm2_of_folder

    return Esm2Engine(
        esm2_of_folder(folder),
        layer=layer,
        pooling=pooling,
        precision=precision,
        typical_tokens=typical_tokens,
    )
