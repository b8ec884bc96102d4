"""Jobs with a text in their id, experiment, source, model, node, group or its name: not every row is looked at.

SQLite compares texts ten million times a second, so that what counts is how many it compares: the experiments' names,
in the narrowest index that has them; sources, models and nodes once for each value; ids only for a text that an id can
contain.
"""

import functools
import re

from sqlalchemy import ColumnElement, Integer, TextClause, bindparam, column, or_, select, text

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import groups

_FEW_VALUES = ("source", "model", "node")
"""Columns in which many jobs have the same text."""
_PART_OF_ID = re.compile(r"j?-?[0-9a-f]*", re.IGNORECASE)
"""What a job's id, `j-3fa9c1d27b40e6a8`, can contain."""
_BY_EACH = r"SELECT number FROM jobs WHERE {0} IS NOT NULL AND {0} LIKE :has_text ESCAPE '\'"
_BY_VALUE = r"""
SELECT number FROM jobs WHERE {0} IN (
    WITH RECURSIVE each(value) AS (
        SELECT min({0}) FROM jobs
        UNION ALL SELECT (SELECT min({0}) FROM jobs WHERE {0} > each.value) FROM each WHERE each.value IS NOT NULL
    )
    SELECT value FROM each WHERE value LIKE :has_text ESCAPE '\'
)"""
"""Each value is looked up as the next one in the index: their number counts, not that of the jobs."""
_BY_GROUP = r"""
SELECT number FROM jobs WHERE group_id IN (SELECT group_id FROM groups WHERE name LIKE :has_text ESCAPE '\')"""


def has_text(wanted: str, dialect: str) -> ColumnElement[bool]:
    """The condition on `jobs` that one of the texts of a job contains a text, small and capital letters alike.

    Args:
        wanted: the text, as typed.
        dialect: name of the database's.
    """
    pattern = "%" + wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    if dialect != "sqlite":
        columns = ("job_id", "experiment_id", *_FEW_VALUES, "group_id")
        *alike, named = (
            c.ilike(pattern, escape="\\") for c in (*(jobs.c[name] for name in columns), groups.c.name)
        )
        return or_(*alike, jobs.c.group_id.in_(select(groups.c.group_id).where(named)))
    found = _found(may_be_id=_PART_OF_ID.fullmatch(wanted) is not None)
    rows = found.bindparams(bindparam("has_text", pattern)).columns(column("number", Integer)).subquery()
    return jobs.c.number.in_(select(rows.c.number))


@functools.cache
def _found(*, may_be_id: bool) -> TextClause:
    """The statement, written in SQL: SQLAlchemy would take longer to put it together than SQLite to answer it."""
    each = ("experiment_id", "group_id", *(("job_id",) if may_be_id else ()))
    ways = [*map(_BY_EACH.format, each), *map(_BY_VALUE.format, _FEW_VALUES), _BY_GROUP]
    return text("\nUNION ".join(ways))
