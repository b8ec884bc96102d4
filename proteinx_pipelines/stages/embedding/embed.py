"""The embedding stage: variant table and `embedding.*` flags in, one `Embedding` out.

Sees sequences (and templates, for pooling `mutated`), never targets and never the split. Torch is imported
only when a model is asked for. The result is written by `experiment_dir.codecs.embedding`.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.embedding import EmbeddingFlags, esm2_layers
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, VariantTable
from proteinx_pipelines.stages.embedding.letters import checked_sequences
from proteinx_pipelines.stages.embedding.onehot import residue_tokens
from proteinx_pipelines.stages.embedding.store import EmbeddingStore
from proteinx_pipelines.stages.embedding.stream import Library, embed_library

EMBEDDING_VERSION = "1"
"""Bumped by hand when the numbers this stage gives for the same input change beyond rounding."""
MAX_RESIDUES = 4096
"""Longest sequence that a model is asked to embed: memory and time grow with the square of the length."""


def embed_variants(
    variants: VariantTable,
    flags: EmbeddingFlags,
    monitor: StageMonitor,
    *,
    weights: Path | None = None,
    store: EmbeddingStore | None = None,
) -> Embedding:
    """Turn every variant's sequence into a vector, or into residue tokens for `onehot`.

    Equal sequences are embedded once. With `embedding.pooling` mutated, rows that differ nowhere from their
    template (the wild type) get the mean over all residues.

    Args:
        variants: N variants over the twenty amino acids.
        flags: `embedding.*`.
        monitor: told the progress, and at the end `embedding_finished` with `sequences` (that went through
            the model), `forward_passes` and `seconds`.
        weights: resolved path of the checkpoint; `flags.weights` as written when None.
        store: vectors known from before; asked first, and given the new ones.

    Returns:
        N rows in the order of `variants`. `info` depends on the inputs alone.

    Raises:
        BadVariants: sequences have other letters, or are too long; the message names them.
        MissingWeights: the checkpoint is not on this node; the message says where to put it.
        FlagError: the checkpoint is of another architecture than `embedding.name`.
    """
    sequences = checked_sequences(variants)
    if flags.name == "onehot":
        return _onehot(variants, sequences)
    return _esm2(variants, sequences, flags, monitor, weights or _written_path(flags), store)


def _onehot(variants: VariantTable, sequences: pa.Array) -> Embedding:
    tokens = residue_tokens(sequences)
    info = _info("onehot", width=tokens.shape[1] * len(AMINO_ACIDS), residues=tokens.shape[1])
    return Embedding(ids=_ids(variants), info=info, tokens=tokens)


def _esm2(
    variants: VariantTable,
    sequences: pa.Array,
    flags: EmbeddingFlags,
    monitor: StageMonitor,
    weights_path: Path | None,
    store: EmbeddingStore | None,
) -> Embedding:
    # Torch takes seconds to import; whoever embeds one-hot does not wait for it.
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine
    from proteinx_pipelines.stages.embedding.esm2_weights import find_weights, read_weights

    _check_lengths(variants, sequences)
    started = time.perf_counter()
    weights = read_weights(flags.name, find_weights(flags.name, weights_path, monitor))
    layer = esm2_layers(flags.name) if flags.layer is None else flags.layer
    engine = Esm2Engine(
        weights,
        layer=layer,
        pooling=flags.pooling,
        precision=flags.precision,
        typical_tokens=flags.tokens_per_batch,
    )
    info = _info(
        flags.name,
        width=engine.width,
        layer=layer,
        pooling=flags.pooling,
        precision=flags.precision,
        weights_sha256=weights.sha256,
    )
    by_position = flags.pooling == "mutated"
    library = (
        Library(sequences, variants.column("source"), variants.templates)
        if by_position
        else Library(sequences)
    )
    vectors = embed_library(
        library, engine, tokens_per_batch=flags.tokens_per_batch, policy=info, monitor=monitor, store=store
    )
    monitor.event(
        "embedding_finished",
        sequences=engine.sequences_embedded,
        forward_passes=engine.forward_passes,
        seconds=round(time.perf_counter() - started, 3),
    )
    return Embedding(ids=_ids(variants), info=info, vectors=vectors)


def _info(name: str, *, width: int, **more: Any) -> dict[str, Any]:
    blank = {"layer": None, "pooling": None, "precision": None, "weights_sha256": None}
    return {"name": name, "version": EMBEDDING_VERSION, **blank, "width": width, **more}


def _ids(variants: VariantTable) -> pa.Array:
    return variants.rows.column("id").combine_chunks()


def _written_path(flags: EmbeddingFlags) -> Path | None:
    return None if flags.weights is None else Path(flags.weights)


def _check_lengths(variants: VariantTable, sequences: pa.Array) -> None:
    lengths = pc.binary_length(sequences).to_numpy(zero_copy_only=False)
    too_long = np.flatnonzero(lengths > MAX_RESIDUES)
    if len(too_long):
        longest = int(lengths.argmax())
        raise BadVariants(
            f"{len(too_long)} of {len(sequences)} variants have more than {MAX_RESIDUES} residues, the most "
            f"that is embedded at once; the longest is {variants.rows.column('id')[longest].as_py()!r} with "
            f"{int(lengths[longest])}. Use the mutated domain as template, or `embedding.name` onehot."
        )
