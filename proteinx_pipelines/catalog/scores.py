"""Measured properties of a source: the first is `DMS_score`, others are in `further_scores`.

`data.score` names one. The first has the name of its column in the imported file, and always `DMS_score`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.numbering import understood_in
from proteinx_pipelines.catalog.tables import FURTHER_SCORES
from proteinx_pipelines.errors import UnknownScore
from proteinx_pipelines.nearest import nearest
from proteinx_pipelines.variant_files.measurements import SCORE_KIND

FIRST = "DMS_score"


def source_scores(database: Path) -> dict[str, list[str]]:
    """Source -> names of its properties, the first one first.

    Raises:
        CatalogError: the file is not there or not a catalog.
    """
    with open_for_reading(database) as connection:
        return scores_of(connection)


def scores_of(connection: sqlite3.Connection, sources: Sequence[str] | None = None) -> dict[str, list[str]]:
    """The same through a connection that is open, of some sources; of all where None."""
    known = dict(connection.execute("SELECT source_text, id FROM sources").fetchall())
    wanted = [name for name in (known if sources is None else sources) if name in known]
    return {
        name: [_first_name(connection, name), *_further_names(connection, known[name])] for name in wanted
    }


def chosen_further(
    connection: sqlite3.Connection, sources: Sequence[str], score: str | None, flag: str = "data.score"
) -> tuple[str, ...]:
    """Sources whose chosen score is not the first one.

    Raises:
        UnknownScore: a source has no score of that name; the message lists its scores.
    """
    if score is None or score == FIRST:
        return ()
    found = scores_of(connection, sources)
    lacking = {name: names for name, names in found.items() if score not in names}
    if lacking:
        raise UnknownScore(_lacking(score, lacking, flag))
    return tuple(name for name, names in found.items() if names[0] != score)


def _first_name(connection: sqlite3.Connection, source: str) -> str:
    columns = (understood_in(connection, source) or {}).get("columns")
    name = columns.get("score") if isinstance(columns, Mapping) else None
    return name if isinstance(name, str) and name else FIRST


def _further_names(connection: sqlite3.Connection, source_id: int) -> list[str]:
    sql = f"SELECT name FROM {FURTHER_SCORES} WHERE source = ? AND kind = ? GROUP BY name ORDER BY min(rowid)"  # noqa: S608
    try:
        return [name for (name,) in connection.execute(sql, (source_id, SCORE_KIND))]
    except (
        sqlite3.OperationalError
    ):  # a user's own file, or one of an older version: it has the first score alone
        return []


def _lacking(score: str, lacking: Mapping[str, Sequence[str]], flag: str) -> str:
    return (
        f"`{flag}`: {score!r} is no score of {len(lacking)} of the sources:\n  {columns_there(score, lacking)}\n"
        "Name one that all of them have, leave the flag out for the first one, or import the file with `--scores`."
    )


def columns_there(name: str, there: Mapping[str, Sequence[str]]) -> str:
    """A line for each source: the columns that it has, and which of them may be meant by a name that it lacks."""
    lines = []
    for source, names in there.items():
        near = nearest(name, names)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        lines.append(f"{source} has {', '.join(names) or 'none'}{guess}")
    return "\n  ".join(lines)
