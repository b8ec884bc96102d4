"""Build whole sequences by applying mutations to copies of the templates.

Works on bytes: a chunk is one uint8 matrix [n, L] whose memory becomes the text column as it is.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.stages.transform.mutations import Mutations

CHUNK_BYTES = 64 * 2**20
"""Residues in one chunk of the column; keeps 32-bit offsets valid and memory in pieces."""


def apply_mutations(
    source: pa.ChunkedArray, mutations: Mutations, templates: Mapping[str, str]
) -> pa.ChunkedArray:
    """Build the sequence of each of N rows, as text.

    Args:
        source: N names, rows of one source adjacent.
        mutations: of the same N rows, already checked against the templates.
        templates: the template of each source.
    """
    runs = source.combine_chunks().dictionary_encode()
    ends = np.cumsum(np.bincount(runs.indices.to_numpy()))
    chunks = []
    begin = 0
    for name, end in zip(runs.dictionary.to_pylist(), ends.tolist(), strict=True):
        template = np.frombuffer(templates[name].encode("ascii"), np.uint8)
        step = max(1, CHUNK_BYTES // len(template))
        chunks += [_chunk(template, mutations, at, min(at + step, end)) for at in range(begin, end, step)]
        begin = end
    found = pa.chunked_array(chunks, pa.string())
    return _with_edited(found, mutations) if mutations.edited else found


def _with_edited(sequences: pa.ChunkedArray, mutations: Mutations) -> pa.ChunkedArray:
    """Insert the sequences of rows with insertions or deletions."""
    edited = np.zeros(mutations.n_mutants, bool)
    edited[[*mutations.edited]] = True
    own = pa.array([mutations.edited[row].sequence for row in sorted(mutations.edited)], pa.string())
    pieces, begin, used = [], 0, 0
    for chunk in sequences.chunks:
        here = edited[begin : begin + len(chunk)]
        n = int(here.sum())
        pieces.append(pc.replace_with_mask(chunk, pa.array(here), own.slice(used, n)) if n else chunk)
        begin, used = begin + len(chunk), used + n
    return pa.chunked_array(pieces, pa.string())


def _chunk(template: np.ndarray, mutations: Mutations, begin: int, end: int) -> pa.Array:
    first, last = np.searchsorted(mutations.row, [begin, end])
    residues = np.tile(template, (end - begin, 1))
    row, position = mutations.row[first:last] - begin, mutations.position[first:last] - 1
    residues[row, position] = mutations.residue[first:last]
    offsets = np.arange(end - begin + 1, dtype=np.int32) * np.int32(len(template))
    return pa.Array.from_buffers(
        pa.string(), end - begin, [None, pa.py_buffer(offsets), pa.py_buffer(residues)]
    )
