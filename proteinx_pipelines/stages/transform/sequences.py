"""Whole sequences: each template, copied and changed where the mutations say.

Works on bytes: a chunk is one uint8 matrix [n, L] whose memory becomes the text column as it is.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from proteinx_pipelines.stages.transform.mutations import Mutations

CHUNK_BYTES = 64 * 2**20
"""Residues in one chunk of the column; keeps 32-bit offsets valid and memory in pieces."""


def apply_mutations(
    source: pa.ChunkedArray, mutations: Mutations, templates: Mapping[str, str]
) -> pa.ChunkedArray:
    """The sequence of each of N rows, as text.

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
    return pa.chunked_array(chunks, pa.string())


def _chunk(template: np.ndarray, mutations: Mutations, begin: int, end: int) -> pa.Array:
    first, last = np.searchsorted(mutations.row, [begin, end])
    residues = np.tile(template, (end - begin, 1))
    row, position = mutations.row[first:last] - begin, mutations.position[first:last] - 1
    residues[row, position] = mutations.residue[first:last]
    offsets = np.arange(end - begin + 1, dtype=np.int32) * np.int32(len(template))
    return pa.Array.from_buffers(
        pa.string(), end - begin, [None, pa.py_buffer(offsets), pa.py_buffer(residues)]
    )
