"""Structures and alignments attached to sources: the files' own bytes, kept in the catalog.

A catalog that is copied or sent as `payload_ref` takes them along. `data.structure` and `data.alignment` override them.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.managing import source_id_in
from proteinx_pipelines.catalog.tables import ATTACHMENTS
from proteinx_pipelines.catalog.writing import open_for_import
from proteinx_pipelines.errors import CatalogError


@dataclass(frozen=True)
class Attachment:
    """One file attached to a source."""

    source: str
    kind: str
    """`structure` or `alignment`."""
    name: str
    chain: str | None
    sha256: str
    """Digest of the file's bytes."""
    size: int


def attach(
    database: Path, source: str, kind: str, *, name: str, chain: str | None, sha256: str, content: bytes
) -> None:
    """Attach a file to a source, in place of the one of its kind.

    Raises:
        UnknownSource: there is none of this name. CatalogError: the database is no catalog.
    """
    with open_for_import(database) as writer:
        source_id = source_id_in(writer, database, source)
        writer.run(f"DELETE FROM {ATTACHMENTS} WHERE source = ? AND kind = ?", source_id, kind)  # noqa: S608
        columns = "source, kind, name, chain, sha256, content"
        if chain is None:
            insert = f"INSERT INTO {ATTACHMENTS}({columns}) VALUES (?, ?, ?, NULL, ?, ?)"  # noqa: S608
            writer.run(insert, source_id, kind, name, sha256, content)
        else:
            insert = f"INSERT INTO {ATTACHMENTS}({columns}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
            writer.run(insert, source_id, kind, name, chain, sha256, content)


def detach(database: Path, source: str, kinds: Sequence[str]) -> list[str]:
    """Remove attached files; returns the kinds that were there.

    Raises:
        UnknownSource: there is no source of this name.
    """
    removed = []
    with open_for_import(database) as writer:
        source_id = source_id_in(writer, database, source)
        for kind in kinds:
            delete = f"DELETE FROM {ATTACHMENTS} WHERE source = ? AND kind = ? RETURNING kind"  # noqa: S608
            removed += [str(row[0]) for row in writer.run(delete, source_id, kind)]
    return removed


def attachments_of(database: Path, sources: Sequence[str]) -> list[Attachment]:
    """Files attached to these sources, by source and kind; none in a catalog that has no such table.

    Raises:
        CatalogError: the file is not there or not a catalog.
    """
    columns = "sources.source_text, a.kind, a.name, a.chain, a.sha256, a.content"
    sql = f"SELECT {columns} FROM {ATTACHMENTS} a JOIN sources ON a.source = sources.id"  # noqa: S608
    with open_for_reading(database) as connection:
        try:
            rows = connection.execute(sql)
        except sqlite3.DatabaseError:
            return []
        found = [
            Attachment(name, kind, file, chain, digest, len(content))
            for name, kind, file, chain, digest, content in rows
            if name in sources
        ]
    return sorted(found, key=lambda one: (one.source, one.kind))


def attached_content(database: Path, attachment: Attachment) -> bytes:
    """The bytes of an attached file.

    Raises:
        CatalogError: it was removed in the meantime.
    """
    sql = (
        f"SELECT a.content FROM {ATTACHMENTS} a JOIN sources ON a.source = sources.id "  # noqa: S608
        "WHERE sources.source_text = ? AND a.kind = ? AND a.sha256 = ?"
    )
    with open_for_reading(database) as connection:
        row = connection.execute(sql, (attachment.source, attachment.kind, attachment.sha256)).fetchone()
    if row is None:
        raise CatalogError(
            f"The {attachment.kind} {attachment.name} of {attachment.source} is no longer attached in {database}. "
            "Attach it again with `proteinx db attach`."
        )
    return bytes(row[0])
