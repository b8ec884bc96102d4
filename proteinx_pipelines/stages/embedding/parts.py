"""Representations without a language model, by name, and several put side by side."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.domain.embedders import FROM_FILES
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.evidence.values import used_files
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.records import Evidence, VariantTable
from proteinx_pipelines.representations import Representation, find
from proteinx_pipelines.stages.embedding.columns import (
    residue_columns,
    substitution_columns,
    varying_positions,
)
from proteinx_pipelines.stages.embedding.evidence_columns import evidence_columns
from proteinx_pipelines.stages.embedding.from_file import vectors_from_file
from proteinx_pipelines.stages.embedding.kmers import kmer_columns
from proteinx_pipelines.stages.embedding.layout import Layout, laid_out
from proteinx_pipelines.stages.embedding.onehot import residue_tokens


def part_vectors(
    name: str,
    variants: VariantTable,
    sequences: pa.Array,
    flags: EmbeddingFlags,
    file: Path | None,
    layout: Layout | None = None,
    evidence: Evidence | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """float32 [N, D] of one representation, and what the embedding's info says of it.

    Raises:
        FlagError, BadEvidence: as `evidence_columns`. BadVariants, MissingFile: as `from_file.vectors_from_file`.
            PluginError: a plugin's function failed.
    """
    if name == "file":
        vectors, facts = vectors_from_file(variants, file or Path(str(flags.path)))
        return vectors, dict(facts)
    if (plugin := find(name)) is not None:
        return _plugin_vectors(plugin, variants, sequences), {"plugin_version": plugin.version}
    if name == "kmers":
        return kmer_columns(sequences), {}
    tokens = laid_out(residue_tokens(sequences), layout)
    if name in FROM_FILES:
        own = _template_tokens(variants, tokens)
        return evidence_columns(name, variants, tokens, own, evidence), {"files": used_files(evidence)[name]}
    if name == "substitution":
        return substitution_columns(tokens, _template_tokens(variants, tokens)), {}
    positions = varying_positions(tokens) if layout is None else np.asarray(layout.positions, np.int64)
    return residue_columns(name, tokens, positions), {"positions": len(positions)}


def _template_tokens(variants: VariantTable, tokens: np.ndarray) -> np.ndarray:
    """uint8 [N, L]: each row's template, as long as the longest sequence."""
    source = variants.rows.column("source").combine_chunks().dictionary_encode()
    templates = pa.array([variants.templates[name] for name in source.dictionary.to_pylist()])
    length = tokens.shape[1]
    longest = pa.array(["A" * length])  # so that every token row has the length of the table's
    found = residue_tokens(pa.concat_arrays([pc.utf8_slice_codeunits(templates, 0, length), longest]))
    return np.asarray(found[:-1][source.indices.to_numpy()])


def _plugin_vectors(plugin: Representation, variants: VariantTable, sequences: pa.Array) -> np.ndarray:
    templates = [variants.templates[name] for name in variants.column("source")]
    try:
        vectors = np.asarray(plugin.function(sequences.to_pylist(), templates), dtype=np.float32)
    except Exception as error:
        raise PluginError(
            f"The representation {plugin.name!r} failed on {len(sequences)} variants: {type(error).__name__}: "
            f"{error}. Mend the plugin that registers it, or choose another `embedding.name`."
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(sequences) or not np.isfinite(vectors).all():
        raise PluginError(
            f"The representation {plugin.name!r} gave an array of shape {vectors.shape} for {len(sequences)} variants "
            "(or numbers that are not finite); finite numbers [N, D] are expected. Mend the plugin."
        )
    return vectors
