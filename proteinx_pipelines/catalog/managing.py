"""Remove and rename sources of a catalog, each in one transaction."""

from pathlib import Path

from proteinx_pipelines.catalog.importing import checked_name
from proteinx_pipelines.catalog.writing import CatalogWriter, open_for_import
from proteinx_pipelines.errors import CatalogError, UnknownSource
from proteinx_pipelines.nearest import did_you_mean


def remove_source(database: Path, name: str) -> int:
    """Remove a source and all of its rows; returns the number of rows.

    Experiments made from it are not affected.

    Raises:
        UnknownSource: there is none of this name.
    """
    _check_file(database)
    with open_for_import(database) as writer:
        source_id = source_id_in(writer, database, name)
        ((rows,),) = writer.run("SELECT count(*) FROM mutations WHERE source = ?", source_id)
        for table in ("attachments", "further_scores", "mutations"):
            writer.run(f"DELETE FROM {table} WHERE source = ?", source_id)  # noqa: S608
        writer.run("DELETE FROM sources WHERE id = ?", source_id)
    return int(rows)


def rename_source(database: Path, name: str, new_name: str) -> None:
    """Rename a source; its name is the first half of its rows' ids.

    Raises:
        UnknownSource: there is none of this name. CatalogError: the new name is taken, or none that can be typed.
    """
    _check_file(database)
    checked_name(new_name)
    with open_for_import(database) as writer:
        source_id = source_id_in(writer, database, name)
        if writer.run("SELECT 1 FROM sources WHERE source_text = ? AND id != ?", new_name, source_id):
            raise CatalogError(
                f"{database} has a source {new_name!r} already. Remove it, or choose another name."
            )
        writer.run("UPDATE sources SET source_text = ? WHERE id = ?", new_name, source_id)


def _check_file(database: Path) -> None:
    if not database.is_file():
        raise CatalogError(f"{database} is not there. `proteinx db import FILE...` makes a catalog.")


def source_id_in(writer: CatalogWriter, database: Path, name: str) -> int:
    """Number of a source.

    Raises:
        UnknownSource: there is none of this name; the message names a similar one.
    """
    found = {str(text): int(number) for number, text in writer.run("SELECT id, source_text FROM sources")}
    if name not in found:
        hint = did_you_mean(name, found)
        raise UnknownSource(f"{name!r} is not in {database}.{hint} `proteinx db list` lists the sources.")
    return found[name]
