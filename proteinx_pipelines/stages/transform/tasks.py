"""Variant table of several tasks: the target's table, a column for each further property, and the rows it adds.

A further property is merged over a variant's rows as scores are, and left as it was measured: `transform.clip`,
`target` and `bins` are in the unit of the target. Variants that have a property and no score come last, without a
target. A sequence that has a score somewhere never comes twice, so that no test sequence is trained on by another row.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants, UnknownScore
from proteinx_pipelines.flags.base import Range
from proteinx_pipelines.flags.reading import JOINT
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import PROPERTY, REPLICATE_DEVIATION, Selection, VariantTable
from proteinx_pipelines.stages.transform.transform import transform_variants


def transformed(selection: Selection, flags: ExperimentFlags) -> VariantTable:
    """The variant table of an experiment, of one task or of several.

    Raises:
        BadVariants, UnknownScore: from `transform_variants` and `transform_tasks`.
    """
    if flags.model.tasks == JOINT:
        return transform_tasks(selection, flags.transform)
    return transform_variants(selection, flags.transform)


def transform_tasks(selection: Selection, flags: TransformFlags) -> VariantTable:
    """Turn measured rows into variants with a target, further properties, or both.

    Args:
        selection: rows with at least one further property.
        flags: what to drop and merge; for the target also what to compute.

    Returns:
        The rows of `transform_variants` in their order, then variants without a score, in the order of the first
        property that they have; properties are in alphabetical order.

    Raises:
        BadVariants: rows cannot be used under these flags, or no row has one of the properties.
        UnknownScore: the selection has no further property.
    """
    names = sorted(
        name.removeprefix(PROPERTY) for name in selection.rows.column_names if name.startswith(PROPERTY)
    )
    if not names:
        raise UnknownScore("`model.tasks` 'joint' needs further properties; name them in `data.properties`.")
    own = transform_variants(selection, flags)
    tables = {name: _of_property(selection, name, flags) for name in names}
    rows, scored = own.rows, own.rows.column("sequence").combine_chunks()
    for table in tables.values():
        is_known = pc.or_(
            pc.is_in(table.column("sequence"), value_set=scored),
            pc.is_in(table.column("id"), value_set=rows.column("id").combine_chunks()),
        )
        rows = pa.concat_tables([rows, _without_score(table.filter(pc.invert(is_known)), own.rows.schema)])
    key = "id" if flags.synonymous == "keep" else None
    for name, table in tables.items():
        rows = rows.append_column(PROPERTY + name, pa.array(_values(rows, table, key), pa.float64()))
    return VariantTable(rows, own.templates, _dropped(own, rows, selection), own.offsets)


def _of_property(selection: Selection, name: str, flags: TransformFlags) -> pa.Table:
    """Table of the variants that have a property, which is their `target`."""
    values = selection.rows.column(PROPERTY + name)
    if pc.all(pc.is_null(values, nan_is_null=True)).as_py():
        raise BadVariants(
            f"`data.properties`: none of the {selection.rows.num_rows:,} selected rows has a value of {name!r}. Leave "
            "it out, or select rows that have it."
        )
    place = selection.rows.column_names.index("DMS_score")
    rows = selection.rows.set_column(place, "DMS_score", values)
    plain = flags.model_copy(update={"clip": Range(), "target": "none", "bins": (), "missing": "drop"})
    found = Selection(rows, selection.templates, selection.query, selection.offsets)
    return transform_variants(found, plain).rows


def _without_score(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows of a property's table with the columns of the target's, without target, score and their deviation."""
    columns = {}
    for field in schema:
        if field.name in ("target", "DMS_score"):
            columns[field.name] = pa.array(np.full(table.num_rows, np.nan), field.type)
        elif field.name == REPLICATE_DEVIATION:
            columns[field.name] = pa.nulls(table.num_rows, field.type)
        else:
            columns[field.name] = table.column(field.name).cast(field.type)
    return pa.table(columns, schema=schema)


def _values(rows: pa.Table, table: pa.Table, key: str | None) -> np.ndarray:
    """Value of each row in a property's table, float64 [N], NaN without one; by id, or by source and sequence."""
    asked, known = (_keys(each, key) for each in (rows, table))
    place = pc.fill_null(pc.index_in(asked, value_set=known), -1).to_numpy(zero_copy_only=False)
    values = np.append(table.column("target").to_numpy(zero_copy_only=False).astype(np.float64), np.nan)
    return np.asarray(values[place])


def _keys(table: pa.Table, key: str | None) -> pa.Array:
    if key is not None:
        return table.column(key).combine_chunks()
    joined = pc.binary_join_element_wise(table.column("source"), table.column("sequence"), "/")
    return joined.combine_chunks()


def _dropped(own: VariantTable, rows: pa.Table, selection: Selection) -> dict[str, int]:
    """Counts of the target's table, without the rows that are kept for their further properties."""
    kept = rows.slice(own.n_variants).column("id").combine_chunks()
    ids = pc.binary_join_element_wise(selection.rows.column("source"), selection.rows.column("mutant"), "/")
    unscored = pc.is_null(selection.rows.column("DMS_score"), nan_is_null=True)
    n = pc.sum(pc.and_(unscored, pc.is_in(ids, value_set=kept))).as_py() or 0
    return {**own.dropped, "missing_score": own.dropped.get("missing_score", 0) - n}
