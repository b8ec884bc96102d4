"""Sources of jobs that have several: `jobs.source` has them as one text, and a table says which texts contain a source.

A few lists are shared by many jobs, so that a filter asks first for the texts and then for the jobs that have one of
them, in an index that lists read anyway. `A, B` is the text of a list; a single source of that name has the same.
"""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, insert, or_, select

from proteinx_pipelines.master.database.job_tables import jobs, source_lists
from proteinx_pipelines.master.jobs.flag_rows import key_of

_INSERT = insert(source_lists)
_MOST_NAMED = 1_000
"""Most lists that a filter names one by one, which is faster than to ask the table again."""


def text_of(sources: Sequence[str]) -> str:
    """The text that stands for sources in `jobs.source`."""
    return ", ".join(sources)


def note_lists(connection: Connection, lists: Mapping[str, Iterable[str]]) -> None:
    """Write down the texts of several sources that are not known yet.

    Args:
        connection: of the change.
        lists: text -> the sources that it stands for.
    """
    wanted = {text: {key_of(source) for source in sources} for text, sources in lists.items()}
    if not wanted:
        return
    known = set(
        connection.execute(select(source_lists.c.text).where(source_lists.c.text.in_(wanted))).scalars()
    )
    rows = [
        {"source": source, "text": text}
        for text, sources in wanted.items()
        if text not in known
        for source in sources
    ]
    if rows:
        connection.execute(_INSERT, rows)


def has_source(connection: Connection, source: str) -> ColumnElement[bool]:
    """The condition on `jobs` that a source is the job's, alone or among others."""
    query = select(source_lists.c.text).where(source_lists.c.source == key_of(source))
    texts = set(connection.execute(query.limit(_MOST_NAMED + 1)).scalars())
    if not texts:
        return jobs.c.source == source
    if len(texts) > _MOST_NAMED:
        return or_(jobs.c.source == source, jobs.c.source.in_(query))
    return jobs.c.source.in_(sorted({source, *texts}))
