"""Least memory that the stages of an experiment need, from its flags, rows and residues.

Only certain needs are counted: an experiment that is refused here cannot run. An accepted one may still need more than
there is; the kernel then kills it (`out_of_memory`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import psutil

from proteinx_pipelines.domain.embedders import ESM_WIDTHS, FOLDER, esm_layers, is_language_model
from proteinx_pipelines.errors import NotEnoughMemory
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.settings import Settings

_LETTERS = 20
_TRAINED_WEIGHT = 16
"""Bytes per weight in training: itself, its gradient and the two moments of AdamW, in single precision."""
_LEAST_TRAINED = 0.5
"""Least fraction of the rows that is trained on, for memory that grows with them."""
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Need:
    """Memory need of one stage."""

    stage: str
    bytes: int
    what: str
    """Cause of the need, in words."""


def allowed_memory(settings: Settings) -> int:
    """Bytes that a stage may be expected to need: the setting, or the memory of the machine or its container."""
    if settings.max_memory_gb is not None:
        return int(settings.max_memory_gb * 1e9)
    return machine_memory()


@lru_cache(maxsize=1)
def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container around this process; read once per process."""
    found = [psutil.virtual_memory().total]
    for path in _CGROUPS:
        try:
            found.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or `max`
            continue
    return min(found)


def refuse_beyond_memory(flags: ExperimentFlags, *, rows: int, residues: int, allowed: int) -> None:
    """Refuse an experiment of which a stage needs more memory than is allowed.

    Args:
        flags: of the experiment.
        rows: number of variants; never an overestimate.
        residues: of the longest sequence.
        allowed: bytes.

    Raises:
        NotEnoughMemory: the message names each such stage, what it needs and why.
    """
    beyond = [need for need in needs(flags, rows, residues) if need.bytes > allowed]
    if beyond:
        said = "; ".join(f"{need.stage} needs at least {_gb(need.bytes)} for {need.what}" for need in beyond)
        raise NotEnoughMemory(
            f"This experiment does not fit into the memory of this node, {_gb(allowed)}: {said}. Use fewer rows, a "
            "smaller model or narrower vectors, or a node with more (PROTEINX_MAX_MEMORY_GB)."
        )


def needs(flags: ExperimentFlags, rows: int, residues: int) -> Iterator[Need]:
    """Least need of each stage for which it can be computed."""
    yield Need("transform", rows * residues, f"{rows:,} sequences of {residues:,} residues")
    n_weights = _weights(flags, residues)
    if n_weights:
        yield Need(
            "train", n_weights * _TRAINED_WEIGHT, f"{n_weights:,} weights of {flags.model.name!r} in training"
        )
    width = _width(flags, residues)
    if flags.model.name in ("ridge", "ridge_cv") and width and flags.embedding.name != "onehot":
        side = min(int(rows * _LEAST_TRAINED), width)
        yield Need(
            "train", 8 * side * side, f"the matrix of {flags.model.name!r}, {side:,} by {side:,} numbers"
        )


def _width(flags: ExperimentFlags, residues: int) -> int:
    """Least number of columns of the embedding; 0 where the flags do not determine it."""
    embedding = flags.embedding
    if embedding.name == "onehot":
        return residues * _LETTERS
    if embedding.name == FOLDER:
        return 0  # its width is in the folder
    if not is_language_model(embedding.name):
        return residues if embedding.name in ("blosum62", "scales") else 0
    layers = len(embedding.layer) if isinstance(embedding.layer, tuple) else 1
    width = ESM_WIDTHS[esm_layers(embedding.name)] * layers
    if embedding.pooling == "none":
        return 1
    return width * residues if embedding.pooling == "per_residue" else width


def _weights(flags: ExperimentFlags, residues: int) -> int:
    """Least number of weights of a network; 0 for another model."""
    model = flags.model
    if model.name == "mlp":
        return sum(
            before * after for before, after in pairwise((_width(flags, residues), *model.hidden_dims))
        )
    if model.name == "cnn":
        return 2 * model.channels * model.channels
    return 2 * model.channels * _LETTERS if model.name == "light_attention" else 0


def _gb(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
