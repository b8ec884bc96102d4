"""Vectors of an ESM model: residue states (pooled or concatenated), the model's own score of the mutations, or both.

Sequences longer than the model's window are cut around their mutations; equal sequences are embedded once, and what
a store holds is not embedded again. Torch is imported only here and below.
"""

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.domain.embedders import ESM2_MODELS, FOLDER, esm_layers
from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.embedding import EmbeddingFlags, largest_window
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding.letters import as_letters, groups_by_length
from proteinx_pipelines.stages.embedding.pooling import PerResidue, differing_positions
from proteinx_pipelines.stages.embedding.spreading import BatchSpread, EngineSpec
from proteinx_pipelines.stages.embedding.store import EmbeddingStore
from proteinx_pipelines.stages.embedding.stream import Elsewhere, Embedder, Library, allocate, embed_library
from proteinx_pipelines.stages.embedding.windows import Windows, cut_windows, larger_window
from proteinx_pipelines.stages.embedding.zero_shot import marginal_scores, pseudo_likelihoods

if TYPE_CHECKING:
    from proteinx_pipelines.stages.embedding.esm1_engine import Esm1Engine
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
    from proteinx_pipelines.stages.embedding.esmc_engine import EsmcEngine
    from proteinx_pipelines.stages.embedding.t5_engine import T5Engine

    Engine = Esm1Engine | Esm2Engine | EsmcEngine | T5Engine

_ROWS_PER_CHUNK = 8192


@dataclass(frozen=True)
class ModelVectors:
    """Output of a language model for N variants."""

    vectors: np.ndarray
    """float32 [N, D]; a memory-mapped temporary file above 1 GiB."""
    policy: Mapping[str, Any]
    """Store policy of the pooled vectors."""
    facts: Mapping[str, Any]
    """Further entries of the embedding's info."""


def model_vectors(
    variants: VariantTable,
    sequences: pa.Array,
    flags: EmbeddingFlags,
    monitor: StageMonitor,
    weights_path: Path | None,
    store: EmbeddingStore | None,
    policy: Mapping[str, Any],
    self_tests: Path | None = None,
    spread: BatchSpread | None = None,
) -> ModelVectors:
    """Embed the variants and score them, as `embedding.pooling` and `embedding.zero_shot` ask.

    Args:
        variants: N variants.
        sequences: their checked sequences.
        flags: `embedding.*`, naming a language model.
        monitor: receives progress, and `embedding_finished` at the end.
        weights_path: the checkpoint, if known.
        store: queried before the model.
        policy: the part of the store's policy that flags and version decide.
        self_tests: folder in which the outcomes of `precision` auto are kept.
        spread: embeds the batches elsewhere; None is this process.

    Raises:
        BadVariants: a variant does not fit the window (see `windows`), or the vectors the disk (see `allocate`).
        MissingWeights, FlagError: from the checkpoint's reader.
    """
    windows = cut_windows(variants, sequences, _window(flags), largest_window(flags.name))
    started = time.perf_counter()
    engine, weights_sha256 = _engine(flags, weights_path, monitor, self_tests)
    layer = _layer(flags, weights_path)
    pooling = "mutated" if flags.pooling == "mutated_difference" else flags.pooling
    embedder = _per_residue(windows, engine, flags) if pooling == "per_residue" else engine
    full = {**policy, "layer": layer if isinstance(layer, int) else list(layer), "pooling": pooling,
            "precision": engine.precision, "weights_sha256": weights_sha256, "width": embedder.width}  # fmt: skip
    n_pooled, n_scores = 0 if pooling == "none" else embedder.width, int(flags.zero_shot != "none")
    # One matrix for both: the score's column beside a finished one would be a second copy of it.
    vectors = allocate(len(windows.sequences), n_pooled + n_scores)
    if n_pooled:
        elsewhere = None
        if spread is not None:
            longest = embedder.longest if isinstance(embedder, PerResidue) else None
            weights = str(weights_path) if weights_path is not None else None
            same = flags.model_copy(update={"precision": engine.precision})
            elsewhere = partial(
                spread.embed, EngineSpec(same.model_dump_json(), weights, weights_sha256, longest)
            )
        _pooled(windows, engine, embedder, flags, full, monitor, store, vectors[:, :n_pooled], elsewhere)
    if n_scores:
        vectors[:, -1] = _scores(windows, engine, flags.zero_shot, monitor)
    monitor.event(
        "embedding_finished",
        sequences=engine.sequences_embedded,
        forward_passes=engine.forward_passes,
        seconds=round(time.perf_counter() - started, 3),
    )
    return ModelVectors(vectors, full, _facts(windows, flags, full, engine.width))


def _scores(windows: Windows, engine: "Engine", zero_shot: str, monitor: StageMonitor) -> np.ndarray:
    """float32 [N]: the model's own score of each variant."""
    if zero_shot == "pseudo_likelihood":
        return pseudo_likelihoods(windows, engine, monitor)
    return marginal_scores(windows, engine, masked=zero_shot == "masked_marginals", monitor=monitor)


def open_embedder(
    flags: EmbeddingFlags, path: Path | None, monitor: StageMonitor, longest: int | None
) -> tuple[Embedder, str]:
    """The embedder of these flags as a worker makes it, `precision` resolved, and the SHA-256 of its weights.

    Raises:
        MissingWeights, FlagError: from the checkpoint's reader.
    """
    engine, weights_sha256 = _engine(flags, path, monitor, None)
    return (engine if longest is None else PerResidue(engine, longest)), weights_sha256


def _engine(
    flags: EmbeddingFlags, path: Path | None, monitor: StageMonitor, self_tests: Path | None
) -> tuple["Engine", str]:
    if flags.name == FOLDER:
        from proteinx_pipelines.stages.embedding.folder_models import open_folder

        return open_folder(flags, _folder(flags, path))
    if flags.name in ESM2_MODELS:
        return _esm2(flags, path, monitor, self_tests)
    return _esm1(flags, path, monitor)


def _folder(flags: EmbeddingFlags, path: Path | None) -> Path:
    return path if path is not None else Path(str(flags.weights))


def _layer(flags: EmbeddingFlags, path: Path | None) -> int | tuple[int, ...]:
    if flags.name == FOLDER:
        from proteinx_pipelines.stages.embedding.folder_models import layers_of

        return layers_of(flags, _folder(flags, path))
    return esm_layers(flags.name) if flags.layer is None else flags.layer


def _window(flags: EmbeddingFlags) -> int:
    return flags.window or largest_window(flags.name)


def _per_residue(windows: Windows, engine: "Engine", flags: EmbeddingFlags) -> PerResidue:
    """Concatenated residue states, for sequences that fit in the model's window.

    Raises:
        BadVariants: sequences were cut, so a column would mean a different position in each variant; or the disk is
        full.
    """
    if windows.n_cut:
        raise BadVariants(
            f"`embedding.pooling` per_residue needs whole sequences, and {windows.n_cut} are longer than the model's "
            f"window. {larger_window(_window(flags), largest_window(flags.name))} the mutated domain as template, or "
            "choose mutated."
        )
    longest = int(pc.max(pc.binary_length(windows.sequences)).as_py())
    needed = len(windows.sequences) * longest * engine.width * 4
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if needed > free:
        raise BadVariants(
            f"`embedding.pooling` per_residue: {len(windows.sequences)} variants of {longest} residues with "
            f"{engine.width} numbers each are {needed / 1e9:,.0f} GB, and {free / 1e9:,.0f} GB are free. Choose "
            "mutated or mean, a smaller model, or select fewer variants."
        )
    return PerResidue(engine, longest)


def _facts(
    windows: Windows, flags: EmbeddingFlags, policy: Mapping[str, Any], residue_width: int
) -> dict[str, Any]:
    """Entries that differ from the plain case, whose info is the policy itself."""
    facts: dict[str, Any] = {}
    if flags.pooling == "per_residue" and flags.zero_shot == "none":
        facts["residue_width"] = residue_width  # a network over residues can read these columns
    if flags.pooling != policy["pooling"]:
        facts["pooling"] = flags.pooling
    if flags.zero_shot != "none":
        facts["zero_shot"] = flags.zero_shot
    if windows.n_cut:
        facts["windowed"] = {"sequences": windows.n_cut, "residues": _window(flags)}
    return facts


def _esm2(
    flags: EmbeddingFlags, path: Path | None, monitor: StageMonitor, self_tests: Path | None
) -> tuple["Engine", str]:
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
    from proteinx_pipelines.stages.embedding.esm2_weights import find_weights, read_weights
    from proteinx_pipelines.stages.embedding.precision import resolved_precision

    weights = read_weights(flags.name, find_weights(flags.name, path, monitor))
    engine = Esm2Engine(
        weights,
        layer=_layer(flags, path),
        pooling=_plain(flags.pooling),
        precision=resolved_precision(flags.precision, weights, monitor, self_tests),
        typical_tokens=flags.tokens_per_batch,
    )
    return engine, weights.sha256


def _esm1(flags: EmbeddingFlags, path: Path | None, monitor: StageMonitor) -> tuple["Engine", str]:
    from proteinx_pipelines.stages.embedding.esm1_engine import Esm1Engine, read_esm1
    from proteinx_pipelines.stages.embedding.esm2_weights import find_weights

    file = find_weights(flags.name, path, monitor)
    model, sha256 = read_esm1(flags.name, file)
    precision = "fp32" if flags.precision == "auto" else flags.precision
    return Esm1Engine(
        model, layer=_layer(flags, path), pooling=_plain(flags.pooling), precision=precision
    ), sha256


def _plain(pooling: str) -> str:
    return {"mutated_difference": "mutated", "none": "mean", "per_residue": "mean"}.get(pooling, pooling)


def _pooled(
    windows: Windows,
    engine: "Engine",
    embedder: Embedder,
    flags: EmbeddingFlags,
    policy: Mapping[str, Any],
    monitor: StageMonitor,
    store: EmbeddingStore | None,
    out: np.ndarray,
    elsewhere: Elsewhere | None,
) -> None:
    by_position = flags.pooling in ("mutated", "mutated_difference")
    library = Library(windows.sequences, windows.sources, windows.templates) if by_position else None
    embed_library(
        library or Library(windows.sequences),
        embedder,
        tokens_per_batch=flags.tokens_per_batch,
        policy=policy,
        monitor=monitor,
        store=store,
        out=out,
        elsewhere=elsewhere,
    )
    if flags.pooling == "mutated_difference":
        _subtract_templates(out, windows, engine)


def _subtract_templates(vectors: np.ndarray, windows: Windows, engine: "Engine") -> None:
    """Subtract, in place, the template's states at each variant's mutated positions, averaged as the variant's are."""
    for group in groups_by_length(windows.sequences):
        sources = windows.sources[group.rows]
        for source in sorted(set(sources.tolist())):
            template = as_letters(windows.templates[source])
            states = engine.residue_states(template[None])[0]
            own = np.flatnonzero(sources == source)
            for start in range(0, len(own), _ROWS_PER_CHUNK):
                rows = own[start : start + _ROWS_PER_CHUNK]
                positions = differing_positions(group.letters[rows], template, source)
                weights = positions / positions.sum(axis=1, keepdims=True)
                vectors[group.rows[rows]] -= (weights @ states).astype(np.float32)
