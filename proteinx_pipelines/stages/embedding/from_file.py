"""`file`: vectors that were computed elsewhere, each given to the variant that it belongs to.

A name of the file is an id (`<source>/<mutant>`), a sequence, or, with one source, a mutant. Every variant must have a
vector, and no name two different ones. Where a variant has vectors under several of its names, that of the id counts,
else that of the sequence; the others, and those of other variants, are counted and ignored.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding.file_formats import read_vectors

_SHOWN = 5


def vectors_from_file(variants: VariantTable, file: Path) -> tuple[np.ndarray, Mapping[str, object]]:
    """float32 [N, D], row i is the vector of variant i, and what the embedding's info says of the file.

    Raises:
        MissingFile, BadVariants: as `file_formats.read_vectors`; or variants have no vector, or a name has two. The
            message names them.
    """
    names, vectors = read_vectors(file)
    known = pa.array(names, pa.string())
    found = np.full(variants.n_variants, -1, np.int64)
    matched = {}
    for kind, column in _columns(variants).items():
        line = pc.index_in(column, known).fill_null(-1).to_numpy()
        here = (line >= 0) & (found < 0)
        found[here] = line[here]
        matched[kind] = int(here.sum())
    _check(variants, file, names, vectors, found)
    info = {
        "file": file.name,
        "file_sha256": file_sha256(file),
        "matched_by": {kind: count for kind, count in matched.items() if count},
        "vectors_of_others": len(names) - len(np.unique(found)),
    }
    return vectors[found], info


def _columns(variants: VariantTable) -> dict[str, pa.ChunkedArray]:
    """What a name may be, in the order of trust."""
    columns = {name: variants.rows.column(name) for name in ("id", "sequence", "mutant")}
    if len(variants.templates) > 1:
        del columns["mutant"]  # a mutant alone does not say whose it is
    return columns


def _check(
    variants: VariantTable, file: Path, names: list[str], vectors: np.ndarray, found: np.ndarray
) -> None:
    ids = variants.column("id")
    missing = np.flatnonzero(found < 0)
    if len(missing):
        raise BadVariants(
            f"`embedding.path`: {file.name} has no vector for {len(missing)} of {len(found)} variants "
            f"({', '.join(str(ids[row]) for row in missing[:_SHOWN])}{', ...' * (len(missing) > _SHOWN)}). Its names "
            f"are like {names[0]!r}; an id such as {ids[0]!r}, a sequence or a mutant is expected. Add them, or "
            "select fewer variants."
        )
    order = np.argsort(np.array(names), kind="stable")
    same = np.flatnonzero(np.array(names)[order][1:] == np.array(names)[order][:-1])
    unlike = [names[order[k]] for k in same if not np.array_equal(vectors[order[k]], vectors[order[k + 1]])]
    if unlike:
        raise BadVariants(
            f"`embedding.path`: {file.name} has two different vectors for {len(unlike)} names "
            f"({', '.join(map(repr, unlike[:_SHOWN]))}). Keep one of each."
        )
