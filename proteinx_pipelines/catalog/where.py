"""Build one SELECT with bound values from `data.*` flags: no text of a message ever becomes SQL.

Columns and operators come from tables in this file; every value is a `?`. As in SQL, a row whose column is
NULL passes no condition on it but `is null`, and `like` ignores case. `reading` runs the SELECT; `sampling` draws
`data.limit` afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.data import NUMBERS, Condition, DataFlags

MAX_PARAMETERS = 32_766
"""Bound values in one statement: SQLite's default since 3.32, https://sqlite.org/limits.html."""
_COLUMNS = {
    "id": "mutations.id",
    "mutant": "mutations.mutant",
    "DMS_score": "mutations.DMS_score",
    "DMS_score_bin": "mutations.DMS_score_bin",
    "mut_num": "mutations.mut_num",
    "source": "mutations.source",
    "source_text": "sources.source_text",
}
_ROW = ", ".join(_COLUMNS[name] for name in ("source", "mutant", "DMS_score", "DMS_score_bin", "mut_num"))
_OPERATORS = {
    **{comparison: f"{{column}} {comparison} ?" for comparison in ("=", "!=", "<", "<=", ">", ">=")},
    "in": "{column} IN ({marks})",
    "between": "{column} BETWEEN ? AND ?",
    "is null": "{column} IS NULL",
    "is not null": "{column} IS NOT NULL",
    "like": r"{column} LIKE ? ESCAPE '\'",
    "not like": r"{column} NOT LIKE ? ESCAPE '\'",
}
_PLACE = "(mutations.source, mutations.id) {relation} (?, ?)"
_PLACE_IN_ONE_SOURCE = "mutations.id {relation} ?"
"""The same where `data.source` is one name; its index finds the first such row instead of comparing every one."""
# As a subquery instead of a join, the index on `source` gives the rows in order: nothing is sorted.
_OF_SOURCES = "mutations.source IN (SELECT sources.id FROM sources WHERE {condition})"

# An index has both columns: one look-up for a row.
_FURTHER = (
    "(SELECT further_scores.value FROM further_scores WHERE further_scores.source = mutations.source AND "
    "further_scores.name = ? AND further_scores.mutation = mutations.id)"
)
_FURTHER_IN_SOME = (
    f"CASE WHEN {_OF_SOURCES.format(condition='sources.source_text IN ({marks})')} THEN {_FURTHER} "
    "ELSE mutations.DMS_score END"
)

Value = str | int | float


@dataclass(frozen=True)
class Reach:
    """Needs beyond the columns of `mutations` and conditions on them."""

    late: frozenset[int] = frozenset()
    """Indices in `data.where` of conditions evaluated on rows (`late`)."""
    score: str | None = None
    """Score in `further_scores` that replaces `DMS_score`."""
    of_sources: tuple[str, ...] = ()
    """Sources with that score; the others use their first."""


_PLAIN = Reach()


@dataclass(frozen=True)
class Query:
    """A SELECT and the values of its `?`, in order."""

    sql: str
    parameters: tuple[Value, ...]


@dataclass(frozen=True)
class _Test:
    """One condition: its label for the user, and its SQL."""

    label: str
    sql: str
    parameters: tuple[Value, ...]


def row_query(flags: DataFlags, reach: Reach = _PLAIN) -> Query:
    """Build the SELECT of all rows that the flags choose, in the order of source and row id.

    Its columns are `records.SELECTION_COLUMNS`, with the source's id instead of its name. A further score has no bins.

    Raises:
        FlagError: all conditions together have too many values.
    """
    return _in_order(_select(*_columns(reach), _tests(flags, reach)))


def property_query(flags: DataFlags, reach: Reach, score: Reach) -> Query:
    """Build the SELECT of another score of the rows of `row_query`, in the same order; its columns are the same."""
    return _in_order(_select(*_columns(score), _tests(flags, reach)))


def beside_query(flags: DataFlags, reach: Reach, name: str, of_sources: Sequence[str]) -> Query:
    """Build the SELECT of a further column of the rows of `row_query`, in the same order; NULL in other sources.

    Args:
        flags: conditions.
        reach: of `row_query`.
        name: in `further_scores`.
        of_sources: sources that have it.
    """
    marks = ", ".join("?" * len(of_sources))
    value = (
        f"CASE WHEN {_OF_SOURCES.format(condition=f'sources.source_text IN ({marks})')} THEN {_FURTHER} END"
    )
    return _in_order(_select(f"{value} AS value", (*of_sources, name), _tests(flags, reach)))


def half_queries(flags: DataFlags, cut: tuple[int, int], reach: Reach = _PLAIN) -> tuple[Query, Query] | None:
    """Split `row_query` in two: rows up to and including `cut` (source id, row id), and the rows after it.

    A row without an id would be in neither. None if the additional values would be too many.
    """
    tests, (columns, bound) = _tests(flags, reach), _columns(reach)
    place, values = (_PLACE, cut) if len(flags.source) > 1 else (_PLACE_IN_ONE_SOURCE, cut[1:])
    if sum(len(test.parameters) for test in tests) + len(bound) + len(values) > MAX_PARAMETERS:
        return None
    first, second = (
        _in_order(_select(columns, bound, [*tests, _Test("", place.format(relation=relation), values)]))
        for relation in ("<=", ">")
    )
    return first, second


def cut_query(flags: DataFlags, n: int) -> Query:
    """The SELECT of source id and row id of the n-th row of `data.source`, counted from 0; an index answers it.

    A negative n counts from the end, -1 is the last row.
    """
    query = _select("mutations.source, mutations.id", (), _tests(flags, _PLAIN)[:1])
    direction, offset = ("", n) if n >= 0 else (" DESC", -n - 1)
    order = f"ORDER BY mutations.source{direction}, mutations.id{direction} LIMIT 1 OFFSET {offset:d}"
    return Query(f"{query.sql} {order}", query.parameters)


def count_queries(flags: DataFlags, reach: Reach = _PLAIN) -> Iterator[tuple[str, Query]]:
    """Yield the label of each condition, and the SELECT that counts the rows left after it."""
    tests = _tests(flags, reach)
    for index, test in enumerate(tests, start=1):
        yield test.label, _select("count(*)", (), tests[:index])


def label_of(flags: DataFlags, place: int) -> str:
    """Label of a condition of `data.where`."""
    return _label(place, flags.where[place])


def _in_order(query: Query) -> Query:
    return Query(f"{query.sql} ORDER BY mutations.source, mutations.id", query.parameters)


def _columns(reach: Reach) -> tuple[str, tuple[Value, ...]]:
    """The columns of a row, and the values that they bind."""
    if reach.score is None:
        return _ROW, ()
    score, bound = _score(reach)
    return (
        f"mutations.source, mutations.mutant, {score} AS DMS_score, NULL AS DMS_score_bin, mutations.mut_num",
        bound,
    )


def _score(reach: Reach) -> tuple[str, tuple[Value, ...]]:
    if reach.score is None:
        return _COLUMNS["DMS_score"], ()
    marks = ", ".join("?" * len(reach.of_sources))
    return _FURTHER_IN_SOME.format(marks=marks), (*reach.of_sources, reach.score)


def _select(columns: str, bound: tuple[Value, ...], tests: Sequence[_Test]) -> Query:
    parameters = (*bound, *(value for test in tests for value in test.parameters))
    if len(parameters) > MAX_PARAMETERS:
        found = f"{len(parameters):,} values in all conditions together"
        raise FlagError([f"`data`: {found}; at most {MAX_PARAMETERS:,} are possible."])
    conditions = " AND ".join(test.sql for test in tests)
    # Every piece of SQL is text of this file; values of a message are in the parameters.
    return Query(f"SELECT {columns} FROM mutations WHERE {conditions}", parameters)  # noqa: S608


def _tests(flags: DataFlags, reach: Reach) -> list[_Test]:
    """All conditions of the flags but the late ones, `data.source` first."""
    tests = [_test(f"data.source {', '.join(flags.source)}", "source_text", "in", flags.source)]
    for name, range_ in (("mut_num", flags.mut_num), ("DMS_score", flags.dms_score)):
        for end, op in (("min", ">="), ("max", "<=")):
            limit = getattr(range_, end)
            if limit is not None:
                tests.append(_test(f"data.{name.lower()}.{end} {limit:g}", name, op, (limit,), reach))
    if flags.dms_score_bin is not None:
        label = f"data.dms_score_bin {', '.join(flags.dms_score_bin)}"
        tests.append(_test(label, "DMS_score_bin", "in", flags.dms_score_bin))
    for index, condition in enumerate(flags.where):
        if index not in reach.late:
            label, values = _label(index, condition), _values(condition)
            tests.append(_test(label, condition.column, condition.op, values, reach))
    return tests


def _test(label: str, column: str, op: str, values: Sequence[Value], reach: Reach = _PLAIN) -> _Test:
    if column not in NUMBERS:
        values = [str(value) for value in values]  # a bin is text in the catalog: 1 means '1'
    term, bound = _score(reach) if column == "DMS_score" else (_COLUMNS[column], ())
    sql = _OPERATORS[op].format(column=term, marks=", ".join("?" * len(values)))
    sql = _OF_SOURCES.format(condition=sql) if column == "source_text" else sql
    return _Test(label, sql, (*bound, *values))


def _values(condition: Condition) -> tuple[Value, ...]:
    value = condition.value
    return () if value is None else value if isinstance(value, tuple) else (value,)


def _label(index: int, condition: Condition) -> str:
    value = "" if condition.value is None else f" {condition.value!r}"
    return f"data.where.{index} {condition.column} {condition.op}{value}"
