"""Digest of the content of one source, to compare catalogs."""

import hashlib
import json
from pathlib import Path

from proteinx_pipelines.catalog.database import open_for_reading

_SOURCE = "SELECT id, template FROM sources WHERE source_text = ?"
_ROWS = (
    "SELECT mutant, DMS_score, DMS_score_bin, mut_num FROM mutations WHERE source = ? "
    "ORDER BY mutant, DMS_score, DMS_score_bin, mut_num"
)


def source_digest(database: Path, name: str) -> tuple[int, str] | None:
    """Count and hash the rows of a source (SHA-256 over template and rows, in any order). None if it does not exist.

    Raises:
        CatalogError: the file does not exist, or is not a catalog.
    """
    with open_for_reading(database) as connection:
        found = connection.execute(_SOURCE, (name,)).fetchone()
        if found is None:
            return None
        source_id, template = found
        digest, rows = hashlib.sha256(json.dumps(template).encode("utf-8")), 0
        for row in connection.execute(_ROWS, (source_id,)):
            digest.update(json.dumps(row).encode("utf-8"))
            rows += 1
    return rows, digest.hexdigest()
