"""A source made of the rows of others: everything measured until then, as one version."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proteinx_pipelines.catalog.importing import checked_name
from proteinx_pipelines.catalog.writing import CatalogWriter, open_for_import
from proteinx_pipelines.errors import CatalogError, UnknownSource
from proteinx_pipelines.nearest import did_you_mean

_COPY = (
    "INSERT INTO mutations(mutant, DMS_score, DMS_score_bin, mut_num, source) "
    "SELECT mutant, DMS_score, DMS_score_bin, mut_num, ? FROM mutations WHERE source = ? ORDER BY id"
)
# Copied rows keep their order, so the k-th row of the copy is the k-th of the original.
_COPY_FURTHER = (
    "INSERT INTO further_scores(mutation, source, name, kind, value) "
    "SELECT new.id, ?, f.name, f.kind, f.value FROM "
    "(SELECT id, row_number() OVER (ORDER BY id) AS k FROM mutations WHERE source = ? AND id > ?) new "
    "JOIN (SELECT id, row_number() OVER (ORDER BY id) AS k FROM mutations WHERE source = ?) old ON old.k = new.k "
    "JOIN further_scores f ON f.mutation = old.id AND f.source = ?"
)


def combine_sources(database: Path, names: Sequence[str], new_name: str, facts: Mapping[str, Any]) -> int:
    """Make a source of all rows of others, in one transaction; replicates stay separate rows.

    Args:
        database: the catalog.
        names: sources of one protein in one numbering, in the order of their rows.
        new_name: of the source to make; it must not exist.
        facts: kept with the source as what is known of its origin.

    Returns:
        Its number of rows.

    Raises:
        UnknownSource: a source does not exist. CatalogError: they are of different proteins or numberings, or the new
        name is taken.
    """
    checked_name(new_name)
    with open_for_import(database) as writer:
        known = {
            str(name): (int(number), str(template), int(offset))
            for number, name, template, offset in writer.run(
                "SELECT id, source_text, template, offset FROM sources"
            )
        }
        for name in names:
            if name not in known:
                raise UnknownSource(f"{name!r} is not in {database}.{did_you_mean(name, known)}")
        if new_name in known:
            _remove_leftover(writer, database, new_name, known[new_name][0], facts)
        proteins = {known[name][1:] for name in names}
        if len(proteins) != 1:
            raise CatalogError(
                f"{', '.join(names)} have different templates or numberings; they cannot be one source."
            )
        ((template, offset),) = proteins
        own = {"combined_from": list(names), **_name_of_the_score(writer, known[names[0]][0])}
        text = json.dumps({**own, **facts}, ensure_ascii=False, default=str)
        writer.run(
            "INSERT INTO sources(source_text, template, offset, understood) VALUES (?, ?, ?, ?)",
            new_name, template, offset, text,
        )  # fmt: skip
        ((new,),) = writer.run("SELECT id FROM sources WHERE source_text = ?", new_name)
        for name in names:
            ((before,),) = writer.run("SELECT coalesce(max(id), 0) FROM mutations")
            writer.run(_COPY, int(new), known[name][0])
            writer.run(_COPY_FURTHER, int(new), int(new), int(before), known[name][0], known[name][0])
        ((rows,),) = writer.run("SELECT count(*) FROM mutations WHERE source = ?", int(new))
    return int(rows)


def _name_of_the_score(writer: CatalogWriter, source_id: int) -> dict[str, Any]:
    """The name by which `data.score` knows the first score, which its rows keep in the new source."""
    ((text,),) = writer.run("SELECT understood FROM sources WHERE id = ?", source_id)
    columns = (json.loads(text) if text else {}).get("columns")
    name = columns.get("score") if isinstance(columns, Mapping) else None
    return {"columns": {"score": name}} if name else {}


def _remove_leftover(
    writer: CatalogWriter, database: Path, name: str, source_id: int, facts: Mapping[str, Any]
) -> None:
    """Remove a source that an interrupted call with the same facts made; refuse any other one."""
    ((text,),) = writer.run("SELECT understood FROM sources WHERE id = ?", source_id)
    known = json.loads(text) if text else {}
    if any(known.get(key) != value for key, value in facts.items()):
        raise CatalogError(f"{database} has a source {name!r} already. Remove it first: `proteinx db rm`.")
    for table in ("further_scores", "mutations"):
        writer.run(f"DELETE FROM {table} WHERE source = ?", source_id)  # noqa: S608
    writer.run("DELETE FROM sources WHERE id = ?", source_id)
