"""The content of one source as a digest: whether two catalogs hold the same measurements under a name."""

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
    """Rows and SHA-256 of a source: over its template and its rows, whatever their order and ids. None where it is not.

    Raises:
        CatalogError: the file is not there, or is no catalog.
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
