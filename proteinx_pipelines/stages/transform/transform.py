"""Transform measured rows into one clean row per variant: sequence, target and origin.

Each rule reads one variant at a time (or the rows of one variant). Rules that read other variants' targets, such as
ranks and scaling, belong in the train stage, where the training rows are known.

The result is ordered by source name, number of mutations, first mutated position and mutant, and merged scores are
summed in sorted order: the same measurements give the same bytes for any order of the catalog. (The only exception is
explicit: `transform.duplicates = first`.)
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.numbering import as_written
from proteinx_pipelines.records import (
    REPLICATE_DEVIATION,
    STANDARD_ERROR,
    VARIANT_COLUMNS,
    Selection,
    VariantTable,
)
from proteinx_pipelines.stages.transform.derived import derived_column
from proteinx_pipelines.stages.transform.merging import Merged, merge_rows
from proteinx_pipelines.stages.transform.mutations import Mutations, check_mutations
from proteinx_pipelines.stages.transform.refusals import Refusals
from proteinx_pipelines.stages.transform.sequences import apply_mutations
from proteinx_pipelines.stages.transform.targets import compute_targets
from proteinx_pipelines.stages.transform.usable import usable_rows

TRANSFORM_VERSION = "3"
"""Raise it when the same selection and flags give another table."""


def transform_variants(selection: Selection, flags: TransformFlags) -> VariantTable:
    """Turn M measured rows into N variants with sequences and targets.

    Works by columns: 149,360 variants of 448 residues take about half a second, and sequences are made in
    chunks of 64 MiB so that millions fit.

    Args:
        selection: rows of one or several sources, each source with its own template.
        flags: what to drop, merge and compute.

    Returns:
        One row per variant in the order the module describes. `mut_num` counts the residues in which the
        sequence differs from its template, so `D28A:N41N` has 1. `DMS_score` is the merged measurement,
        `target` what a model is trained on: clipped, `transform.target` applied, cut at `transform.bins`. `dropped`
        counts `missing_score`, `stop`, `unknown_letter`, `replicates_merged` and `synonymous_merged` rows.

    Raises:
        BadVariants: mutations contradict the template, or rows cannot be used under these flags. The message
            lists them by kind, with the flag to change.
    """
    names = ["source", "mutant", "DMS_score", "DMS_score_bin"]
    names += [STANDARD_ERROR] if STANDARD_ERROR in selection.rows.column_names else []
    rows = selection.rows.select(names).combine_chunks()
    refusals = Refusals(rows, selection.offsets)
    mutations = check_mutations(rows, selection.templates, refusals)
    usable, dropped = usable_rows(rows, mutations, selection.templates, flags, refusals)
    refusals.raise_if_any()
    if not usable.any():
        raise BadVariants(
            f"Nothing is left of {rows.num_rows} selected rows: "
            + (
                ", ".join(f"{count} with {rule}" for rule, count in dropped.items() if count)
                or "none selected"
            )
            + ". Select other rows (`data.*`), or mend the catalog."
        )
    merged = merge_rows(rows, mutations, usable, flags, selection.offsets)
    merged = merged.take(_order(rows, mutations, merged))
    table = _variant_table(rows, mutations, merged, selection, flags)
    dropped = {**dropped, **merged.dropped}
    return VariantTable(table, dict(selection.templates), dropped, dict(selection.offsets))


def _order(rows: pa.Table, mutations: Mutations, merged: Merged) -> np.ndarray:
    """Order of the result: by source, number of mutations, first position, mutant."""
    kept = pa.table(
        {
            "source": rows.column("source").take(merged.row),
            "mut_num": mutations.counts[merged.row],
            "first_position": mutations.first_position[merged.row],
            "mutant": rows.column("mutant").take(merged.row),
        }
    )
    return np.asarray(pc.sort_indices(kept, [(name, "ascending") for name in kept.column_names]))


def _variant_table(
    rows: pa.Table, mutations: Mutations, merged: Merged, selection: Selection, flags: TransformFlags
) -> pa.Table:
    source = rows.column("source").take(merged.row)
    mutant = rows.column("mutant").take(merged.row)
    ids = pc.binary_join_element_wise(source, mutant, "/")
    shown = ids
    if selection.offsets:
        written = as_written(mutant, source, selection.offsets)
        shown = pc.binary_join_element_wise(source, pa.chunked_array([written]), "/")
    own = mutations.take(merged.row)
    columns = {
        "id": ids,
        "source": source,
        "mutant": mutant,
        "sequence": apply_mutations(source, own, selection.templates),
        "target": pa.array(compute_targets(merged.score, flags, shown)),
        "DMS_score": pa.array(merged.score),
        "mut_num": pa.array(own.counts.astype(np.int32)),
        "n_merged": pa.array(merged.n_merged.astype(np.int32)),
    }
    assert tuple(columns) == VARIANT_COLUMNS
    if merged.deviation is not None:
        columns[REPLICATE_DEVIATION] = pa.array(merged.deviation, pa.float64(), from_pandas=True)
    if merged.error is not None and np.isfinite(merged.error).any():
        columns[STANDARD_ERROR] = pa.array(merged.error, pa.float64(), from_pandas=True)
    renumbered = _renumbered(own, source, selection.offsets)
    derived = {
        # Bin of the mutant that was kept: replicates with different scores may have different bins.
        name: rows.column("DMS_score_bin").take(merged.row)
        if name == "score_bin"
        else derived_column(name, renumbered)
        for name in flags.derived
    }
    return pa.table({**columns, **derived})


def _renumbered(mutations: Mutations, source: pa.ChunkedArray, offsets: Mapping[str, int]) -> Mutations:
    """Mutations with positions in the user's numbering, for derived columns."""
    if not any(offsets.values()):
        return mutations
    names = source.combine_chunks().dictionary_encode()
    by_name = np.array([offsets.get(name, 0) for name in names.dictionary.to_pylist()], np.int64)
    return replace(mutations, position=mutations.position + by_name[names.indices.to_numpy()][mutations.row])
