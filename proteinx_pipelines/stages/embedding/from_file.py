"""`file`: precomputed vectors, matched to variants by name.

A name of the file is an id (`<source>/<mutant>`), a sequence, or, with one source, a mutant. Every variant must have a
vector, and no name may have two different ones. If a variant has vectors under several of its names, the id takes
precedence, then the sequence; the others, and those of other variants, are counted and ignored. Mutants of a source
with an offset may use the user's numbering or the template's (`variant_files.numbering` tells them apart).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.mutants import parse_mutants, renumbered
from proteinx_pipelines.numbering import variant_names
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding.file_formats import read_vectors
from proteinx_pipelines.variant_files.numbering import read_mutants

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
    in_template, numbering = _in_template(known, variants, file)
    for kind, column in _columns(variants).items():
        line = pc.index_in(column, in_template[kind]).fill_null(-1).to_numpy()
        here = (line >= 0) & (found < 0)
        found[here] = line[here]
        matched[kind] = int(here.sum())
    _check(variants, file, names, vectors, found)
    info = {
        "file": file.name,
        "file_sha256": file_sha256(file),
        "matched_by": {kind: count for kind, count in matched.items() if count},
        "vectors_of_others": len(names) - len(np.unique(found)),
        **({"numbering": numbering} if numbering else {}),
    }
    return vectors[found], info


def _in_template(
    names: pa.Array, variants: VariantTable, file: Path
) -> tuple[dict[str, pa.Array], dict[str, str]]:
    """Candidate names of each line by kind, mutants in template positions; and the numbering they were read in."""
    ids, mutants, numbering = names, names, {}
    for source, offset in variants.offsets.items():
        own = variants.rows.column("mutant").filter(pc.equal(variants.rows.column("source"), source))
        own, template = own.combine_chunks(), variants.templates[source]
        of_source = pc.starts_with(names, pattern=f"{source}/")
        tails = pc.utf8_slice_codeunits(names.filter(of_source), len(source) + 1)
        reading = read_mutants(tails, template, offset, own)
        if len(tails) and not reading.problem:  # else an id is what it is by definition: the template's
            in_template = pc.binary_join_element_wise(source, reading.mutants, "/")
            ids = pc.replace_with_mask(ids, of_source, in_template)
            numbering[source] = reading.numbering
        bare = pa.array(_are_mutants(names) | _are_mutants(renumbered(names, -offset)))
        if len(variants.templates) == 1 and pc.any(bare).as_py():
            reading = read_mutants(names.filter(bare), template, offset, own)
            if reading.problem:
                raise _unclear(variants, file, source, reading.problem)
            mutants = pc.replace_with_mask(mutants, bare, reading.mutants)
            numbering[source] = reading.numbering
    return {"id": ids, "sequence": names, "mutant": mutants}, numbering


def _unclear(variants: VariantTable, file: Path, source: str, problem: str) -> BadVariants:
    return BadVariants(
        f"`embedding.path`: {file.name} names vectors by mutants of {source}, which has two numberings, and {problem}. "
        f"Name them by sequence, or by id such as {variants.column('id')[0]!r}."
    )


def _are_mutants(names: pa.Array) -> np.ndarray:
    return np.asarray(~parse_mutants(names).malformed)


def _columns(variants: VariantTable) -> dict[str, pa.ChunkedArray]:
    """Kinds of name, the most trusted first."""
    columns = {name: variants.rows.column(name) for name in ("id", "sequence", "mutant")}
    if len(variants.templates) > 1:
        del columns["mutant"]  # a mutant alone does not say whose it is
    return columns


def _check(
    variants: VariantTable, file: Path, names: list[str], vectors: np.ndarray, found: np.ndarray
) -> None:
    missing = np.flatnonzero(found < 0)
    if len(missing):
        raise BadVariants(
            f"`embedding.path`: {file.name} has no vector for {len(missing)} of {len(found)} variants "
            f"({', '.join(variant_names(variants, missing[:_SHOWN]))}{', ...' * (len(missing) > _SHOWN)}). Its names "
            f"are like {names[0]!r}; an id such as {variants.column('id')[0]!r}, a sequence or a mutant is expected. "
            "Add them, or select fewer variants."
        )
    order = np.argsort(np.array(names), kind="stable")
    same = np.flatnonzero(np.array(names)[order][1:] == np.array(names)[order][:-1])
    unlike = [names[order[k]] for k in same if not np.array_equal(vectors[order[k]], vectors[order[k + 1]])]
    if unlike:
        raise BadVariants(
            f"`embedding.path`: {file.name} has two different vectors for {len(unlike)} names "
            f"({', '.join(map(repr, unlike[:_SHOWN]))}). Keep one of each."
        )
