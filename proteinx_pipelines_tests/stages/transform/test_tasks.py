"""The variant table of several tasks: which rows it has, and whose value stands where."""

import numpy as np
import pyarrow as pa
import pytest
from measurements import selection_of

from proteinx_pipelines.errors import BadVariants, UnknownScore
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.records import PROPERTY, Selection, VariantTable
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.split.check import check_split
from proteinx_pipelines.stages.split.unscored import REASON
from proteinx_pipelines.stages.transform.tasks import transform_tasks
from proteinx_pipelines.stages.transform.transform import transform_variants


def selected(*rows, **further: list[float | None]) -> Selection:
    """Rows as in `selection_of`, and a column for each further property."""
    found = selection_of(*rows)
    table = found.rows
    for name, values in further.items():
        table = table.append_column(PROPERTY + name, pa.array(values, pa.float64()))
    return Selection(table, found.templates, found.query)


def tasks_of(*rows, further: dict[str, list[float | None]], **flags) -> VariantTable:
    return transform_tasks(selected(*rows, **further), TransformFlags(**flags))


def values(variants: VariantTable, name: str) -> list[float | None]:
    return [None if np.isnan(each) else each for each in variants.column(PROPERTY + name)]


ROWS = (("A1D", 2.0), ("A1C", None), ("A1C", 1.0), ("C2E", None), ("A1E", None), ("D3K", 3.0))


def test_rows_without_a_score_follow_for_their_property_and_the_others_are_as_without() -> None:
    found = tasks_of(*ROWS, further={"half": [20.0, 10.0, 12.0, 7.0, None, None]})
    assert found.column("mutant").tolist() == ["A1C", "A1D", "D3K", "C2E"]
    assert found.n_scored == 3
    assert values(found, "half") == [11.0, 20.0, None, 7.0]  # replicates merged as scores are
    assert np.isnan(found.column("target")[3])
    assert np.isnan(found.column("DMS_score")[3])
    alone = transform_variants(selection_of(*ROWS), TransformFlags())
    assert found.scored().rows.select(alone.rows.column_names).equals(alone.rows)
    assert (alone.dropped["missing_score"], found.dropped["missing_score"]) == (3, 2)


def test_the_order_of_rows_and_of_properties_does_not_matter() -> None:
    further = {"b": [20.0, 10.0, 12.0, 7.0, None, None], "a": [None, None, 5.0, 1.0, 2.0, None]}
    whole = tasks_of(*ROWS, further=further)
    assert whole.properties == ("a", "b")
    order = [3, 0, 5, 2, 4, 1]
    shuffled = tasks_of(
        *[ROWS[k] for k in order],
        further={name: [further[name][k] for k in order] for name in ("a", "b")},
    )
    assert whole.rows.to_pandas().equals(shuffled.rows.to_pandas())  # NaN equals NaN


def test_a_sequence_that_has_a_score_never_comes_twice() -> None:
    """A spelling of a scored variant, or the same sequence elsewhere, would be a test row's property in training."""
    rows = (("C2A", 1.0), ("C2A:K9K", None), ("A1C", 2.0))
    for synonymous in ("merge", "keep"):
        found = tasks_of(*rows, further={"half": [None, 5.0, None]}, synonymous=synonymous)
        assert found.n_variants == found.n_scored == 2
        assert 5.0 in values(found, "half") or synonymous == "keep"


def test_a_property_stays_as_it_was_measured() -> None:
    flags = {"target": "log", "clip": {"min": 0.5}, "bins": [0.1]}
    found = tasks_of(("A1D", 2.0), ("A1C", 1.0), ("C2E", None), further={"half": [-20.0, 0.1, -3.0]}, **flags)
    assert sorted(each for each in values(found, "half") if each is not None) == [-20.0, -3.0, 0.1]
    assert found.scored().column("target").tolist() == [0.0, 1.0]


def test_properties_that_no_row_has_are_refused_by_name() -> None:
    with pytest.raises(BadVariants, match="none of the 2 selected rows has a value of 'half'"):
        tasks_of(("A1D", 2.0), ("A1C", 1.0), further={"half": [None, None]})
    with pytest.raises(UnknownScore, match=r"`data\.properties`"):
        tasks_of(("A1D", 2.0), further={})


@pytest.mark.parametrize("method", ["random", "modulo", "stratified"])
def test_a_split_is_that_of_the_scored_variants_and_the_others_are_in_no_part(method) -> None:
    rows = [(f"{wild}{at}{new}", float(at)) for at, wild in enumerate("ACDEFGHIKL", 1) for new in "NPQ"]
    half = [None if k % 3 else float(k) for k in range(len(rows))]
    rows += [(f"{wild}{at}S", None) for at, wild in enumerate("ACDEFGHIKL", 1)]
    variants = tasks_of(*rows, further={"half": [*half, *[1.0] * 10]})
    flags = SplitFlags(method=method, folds=3)
    whole, alone = assign_split(variants, flags), assign_split(variants.scored(), flags)
    assert check_split(whole, variants) == []
    assert whole.reasons.to_pylist() == [*alone.reasons.to_pylist(), *[REASON] * 10]
    for one, other in zip(whole.folds, alone.folds, strict=True):
        assert all(
            np.array_equal(getattr(one, part), getattr(other, part)) for part in ("train", "val", "test")
        )
