"""A file that has arrived becomes a version of a data set.

    arriving = Arriving.begin(settings)     a folder of its own below `uploads/`
    arriving.append(block) ...              as it comes, hashed
    accept(master, arriving, ...)           checked, moved into place, and written down

A name's versions are told apart by content and options: the same again is the same version.
"""

import contextlib
import hashlib
import json
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, func, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, file_sha256, sync_folder
from proteinx_pipelines.files.blobs.folder import place
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.tables import datasets
from proteinx_pipelines.master.datasets.apart import Checker
from proteinx_pipelines.master.datasets.reading import ReadingWishes
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import MasterSettings

_CATALOG = "catalog.sqlite"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_TYPES = {
    "text/csv": ".csv", "text/tab-separated-values": ".tsv", "application/json": ".json", "text/x-fasta": ".fasta",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx", "application/gzip": ".csv.gz",
    "application/zip": ".zip", "application/vnd.apache.parquet": ".parquet",
}  # fmt: skip
"""Endings by type of content, for a file without a name; the bytes decide how it is read."""
checker = Checker()
"""That of this process."""


@dataclass
class Arriving:
    """A file on its way in."""

    folder: Path
    stream: BinaryIO
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    @classmethod
    def begin(cls, settings: MasterSettings) -> "Arriving":
        """Make a folder for it."""
        settings.uploads_dir.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=settings.uploads_dir, suffix=PARTIAL_SUFFIX))
        return cls(folder, (folder / "arriving").open("wb"))

    def append(self, block: bytes) -> None:
        """Write a block."""
        self.stream.write(block)
        self.digest.update(block)
        self.size += len(block)

    def finish(self, file_name: str) -> Path:
        """Close it, under the name by which it is read."""
        self.stream.close()
        return (self.folder / "arriving").rename(self.folder / file_name)

    def discard(self) -> None:
        """Remove it, wherever it got to."""
        with contextlib.suppress(OSError):
            self.stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def file_name_of(given: str | None, content_type: str, name: str) -> str:
    """A safe name for the file: its sender's, or one made of the data set's name and the type of the body."""
    text = re.split(r"[/\\]", given or "")[-1]
    safe = _UNSAFE.sub("_", text).strip("._")[-100:]
    if not safe:
        kind = content_type.partition(";")[0].strip().lower()
        safe = (_UNSAFE.sub("_", name).strip("._")[:80] or "data") + _TYPES.get(kind, ".csv")
    return safe if safe not in ("arriving", _CATALOG) else f"data-{safe}"


def accept(
    master: Master, arriving: Arriving, *, name: str, file_name: str, wishes: ReadingWishes, caller: str
) -> tuple[dict[str, Any], bool]:
    """Check a file and keep it. Takes as long as reading it: not for the event loop.

    Args:
        master: that keeps it.
        arriving: the whole file; its folder is moved, or left for `discard`.
        name: of the data set and of its source.
        file_name: as `file_name_of` gives it.
        wishes: of the sender.
        caller: who sends it.

    Returns:
        The row, and whether it is new.

    Raises:
        CatalogError: the file is refused; every cause is named.
    """
    sha256 = arriving.digest.hexdigest()
    known = _known(master, name, sha256, wishes)
    if known is not None:
        return known, False
    if not arriving.size:
        raise CatalogError("The body is empty; a file of measured variants is expected.")
    file = arriving.finish(file_name)
    catalog = arriving.folder / _CATALOG
    most = min(master.settings.node.most_data_bytes, 2 * master.settings.max_upload_bytes)
    understood = checker.check(file, catalog, name, wishes, most)
    understood |= {
        "options": wishes.stated(), "catalog_sha256": file_sha256(catalog), "catalog_size": catalog.stat().st_size,
    }  # fmt: skip
    place(catalog, master.settings.stored(understood["catalog_sha256"]))
    for each in arriving.folder.iterdir():
        if each != file:
            each.unlink()
    dataset_id = f"d-{secrets.token_hex(8)}"
    target = master.settings.datasets_dir / dataset_id
    target.parent.mkdir(parents=True, exist_ok=True)
    arriving.folder.chmod(0o755)
    arriving.folder.rename(target)
    sync_folder(target.parent)
    values = {
        "dataset_id": dataset_id, "name": name, "sha256": sha256, "file_name": file_name, "size": arriving.size,
        "understood": understood, "created_by": caller, "created_at": timestamp(),
    }  # fmt: skip
    try:
        return master.database.write(lambda connection: _insert(connection, values)), True
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _insert(connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
    query = select(func.max(datasets.c.version)).where(datasets.c.name == values["name"])
    row = {**values, "version": int(connection.execute(query).scalar() or 0) + 1}
    connection.execute(insert(datasets).values(**row))
    events.record(connection, "dataset.created", {"dataset_id": row["dataset_id"], "name": row["name"]})
    return row


def _known(master: Master, name: str, sha256: str, wishes: ReadingWishes) -> dict[str, Any] | None:
    """The version with this content and these options."""
    query = select(datasets).where(datasets.c.name == name, datasets.c.sha256 == sha256)
    with master.database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    stated = json.dumps(wishes.stated(), sort_keys=True)
    same = (row for row in rows if json.dumps(row["understood"]["options"], sort_keys=True) == stated)
    return next(map(dict, same), None)
