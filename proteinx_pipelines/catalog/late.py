"""Conditions on `mutant` evaluated on rows instead of in SQL, for sources with their own numbering.

The catalog has template positions; `data.where` has mutants in the user's numbering. A pattern such as `V29%` cannot be
converted, so it is compared with the converted mutants of the rows. The rules are SQLite's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.flags.data import Condition, DataFlags
from proteinx_pipelines.numbering import as_written

_COMPARISONS: Mapping[str, Callable[[pa.Array, Any], pa.Array]] = {
    "=": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}  # fmt: skip


def late_conditions(flags: DataFlags, offsets: Mapping[str, int]) -> frozenset[int]:
    """Indices in `data.where` of conditions evaluated on rows; empty if no chosen source has an offset."""
    if not any(offsets.get(name) for name in flags.source):
        return frozenset()
    return frozenset(place for place, condition in enumerate(flags.where) if condition.column == "mutant")


def that_pass(
    rows: pa.Table, flags: DataFlags, late: frozenset[int], offsets: Mapping[str, int]
) -> Iterator[tuple[int, pa.Table]]:
    """Yield the index of each late condition, and the rows left after it."""
    for place in sorted(late):
        written = as_written(rows.column("mutant"), rows.column("source"), offsets)
        rows = rows.filter(_passes(written, flags.where[place]))
        yield place, rows


def _passes(written: pa.Array, condition: Condition) -> pa.Array:
    op, value = condition.op, condition.value
    if op in ("is null", "is not null"):
        return pc.is_null(written) if op == "is null" else pc.is_valid(written)
    if op in ("like", "not like"):
        found = pc.match_like(written, str(value), ignore_case=True)
        return found if op == "like" else pc.invert(found)
    texts = [
        str(each)
        for each in (value if isinstance(value, Sequence) and not isinstance(value, str) else (value,))
    ]
    if op == "in":
        return pc.is_in(written, pa.array(texts))
    if op == "between":
        return pc.and_(pc.greater_equal(written, texts[0]), pc.less_equal(written, texts[1]))
    return _COMPARISONS[op](written, texts[0])
