"""Embedding stage: variant table and `embedding.*` flags in, one `Embedding` out.

Reads sequences (and templates, for pooling `mutated`), never targets or the split. Torch is imported only when a
language model is requested. The result is written by `experiment_dir.codecs.embedding`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Evidence, VariantTable
from proteinx_pipelines.stages.embedding.indels import PLACE_BY_PLACE, refuse_misaligned
from proteinx_pipelines.stages.embedding.layout import Layout, laid_out
from proteinx_pipelines.stages.embedding.letters import checked_sequences
from proteinx_pipelines.stages.embedding.onehot import residue_tokens
from proteinx_pipelines.stages.embedding.parts import part_vectors
from proteinx_pipelines.stages.embedding.spreading import BatchSpread
from proteinx_pipelines.stages.embedding.store import EmbeddingStore
from proteinx_pipelines.stages.embedding.stream import allocate

EMBEDDING_VERSION = "2"
"""Raise it when this stage's numbers for the same input change beyond rounding."""


def embed_variants(
    variants: VariantTable,
    flags: EmbeddingFlags,
    monitor: StageMonitor,
    *,
    weights: Path | None = None,
    store: EmbeddingStore | None = None,
    file: Path | None = None,
    self_tests: Path | None = None,
    layout: Layout | None = None,
    spread: BatchSpread | None = None,
    evidence: Evidence | None = None,
) -> Embedding:
    """Turn every variant's sequence into a vector, or into residue tokens for `onehot`.

    Equal sequences are embedded once. With `embedding.pooling` mutated, rows that differ nowhere from their
    template (the wild type) get the mean over all residues. Columns of `embedding.also` follow those of
    `embedding.name`; the score of `embedding.zero_shot` is the last column of the model's.

    Args:
        variants: N variants over the twenty amino acids.
        flags: `embedding.*`.
        monitor: receives progress, and at the end `embedding_finished` with `sequences` (those that went through
        the model), `forward_passes` and `seconds`.
        weights: resolved path of the checkpoint; `flags.weights` as written when None.
        store: stored vectors; queried first, and receives the new ones.
        file: resolved path of `embedding.path`; as written when None.
        layout: of the experiment whose models will predict these rows; that of the rows themselves when None.
        spread: embeds batches of a language model elsewhere, with the same numbers; None is this process.
        evidence: of the variants' templates; goes with the result, and is the content of `structure` and `alignment`.
        self_tests: folder that keeps the outcomes of `embedding.precision` auto; None repeats the test in each call.

    Returns:
        N rows in the order of `variants`. `info` depends on the inputs alone.

    Raises:
        BadVariants: sequences have other letters, do not fit the model's window, or have no vector in the file
            of `embedding.path`; the message names them.
        MissingFile: that file is not on this node. PluginError: a plugin's representation failed.
        MissingWeights: the checkpoint is not on this node; the message says where to put it.
        FlagError: the checkpoint is of another architecture than `embedding.name`.
    """
    refuse_misaligned(variants, flags)
    place_by_place = all(name in (*PLACE_BY_PLACE, "file") for name in (flags.name, *flags.also))
    sequences = checked_sequences(variants, keep_template=place_by_place)
    if flags.name == "onehot" and not flags.also:
        return _onehot(variants, sequences, layout, evidence)
    if is_language_model(flags.name):
        vectors, info = _model(variants, sequences, flags, monitor, weights, store, self_tests, spread)
    else:
        vectors, facts = part_vectors(flags.name, variants, sequences, flags, file, layout, evidence)
        info = _info(flags.name, width=int(vectors.shape[1]), **facts)
    others = [part_vectors(name, variants, sequences, flags, file, layout, evidence) for name in flags.also]
    if others:
        parts = [{"name": flags.name, "width": info["width"]}]
        parts += [
            {"name": name, "width": int(columns.shape[1]), **facts}
            for name, (columns, facts) in zip(flags.also, others, strict=True)
        ]
        info = {name: value for name, value in info.items() if name != "residue_width"}
        info = {**info, "name": "+".join((flags.name, *flags.also)), "parts": parts}
        vectors = _side_by_side(vectors, [columns for columns, _ in others])
        info["width"] = int(vectors.shape[1])
    return Embedding(ids=_ids(variants), info=info, vectors=vectors, evidence=evidence)


def _onehot(
    variants: VariantTable, sequences: pa.Array, layout: Layout | None, evidence: Evidence | None
) -> Embedding:
    tokens = laid_out(residue_tokens(sequences), layout)
    info = _info("onehot", width=tokens.shape[1] * len(AMINO_ACIDS), residues=tokens.shape[1])
    return Embedding(ids=_ids(variants), info=info, tokens=tokens, evidence=evidence)


def _model(
    variants: VariantTable,
    sequences: pa.Array,
    flags: EmbeddingFlags,
    monitor: StageMonitor,
    weights: Path | None,
    store: EmbeddingStore | None,
    self_tests: Path | None,
    spread: BatchSpread | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Vectors of a language model and their info."""
    from proteinx_pipelines.stages.embedding.language_model import model_vectors

    path = weights or (None if flags.weights is None else Path(flags.weights))
    policy = {"name": flags.name, "version": EMBEDDING_VERSION}
    found = model_vectors(variants, sequences, flags, monitor, path, store, policy, self_tests, spread)
    info = {**found.policy, **found.facts, "width": int(found.vectors.shape[1])}
    return found.vectors, info if info == found.policy else {**info, "policy": dict(found.policy)}


def _side_by_side(first: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """One matrix of all columns; `first` itself when it is alone."""
    if not others:
        return first
    joined = allocate(len(first), first.shape[1] + sum(part.shape[1] for part in others))
    start = 0
    for part in (first, *others):
        joined[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return joined


def _info(name: str, *, width: int, **more: Any) -> dict[str, Any]:
    blank = {"layer": None, "pooling": None, "precision": None, "weights_sha256": None}
    return {"name": name, "version": EMBEDDING_VERSION, **blank, "width": width, **more}


def _ids(variants: VariantTable) -> pa.Array:
    return variants.rows.column("id").combine_chunks()
