"""Removes what was found. Looks again at each, on the writer's thread: no row begins to refer to it meanwhile."""

import shutil
import time
from functools import partial

from sqlalchemy import Connection, delete, select, union

from proteinx_pipelines.master import events
from proteinx_pipelines.master.cleaning.finding import FRESH_S, Findings, Item, known_digests
from proteinx_pipelines.master.database.job_tables import artifacts, job_logs, jobs, trash
from proteinx_pipelines.master.database.tables import datasets
from proteinx_pipelines.master.jobs import trash as trash_of_jobs
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import MasterSettings


def remove(master: Master, found: Findings) -> int:
    """Remove the items; the number of bytes freed. Not for the event loop."""
    rows = [item for item in found.items if item.kind in ("artifact", "lines")]
    deleted = [item.name for item in found.items if item.kind == "job"]
    digests = master.database.write(
        lambda connection: _remove_rows(connection, rows) | trash_of_jobs.empty(connection, deleted)
    )
    freed = master.database.write(
        lambda connection: _remove_objects(
            connection, master.settings, {*digests, *(item.name for item in found.items if item.kind == "object")},
            freshly={*digests},
        )
    )  # fmt: skip
    for item in found.items:
        if item.kind == "upload":
            freed += item.bytes
            path = master.settings.uploads_dir / item.name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if item.kind == "dataset":
            freed += master.database.write(partial(_remove_folder, settings=master.settings, item=item))
    return freed


def _remove_rows(connection: Connection, items: list[Item]) -> set[str]:
    """Remove rows of files and lines; the digests of the files."""
    digests: set[str] = set()
    known = union(select(jobs.c.job_id), select(trash.c.job_id))
    for item in items:
        job_id, _, path = item.name.partition("/")
        if item.kind == "artifact":
            which = (artifacts.c.job_id == job_id) & (artifacts.c.path == path)
        else:
            which = (artifacts.c.job_id == job_id) & artifacts.c.job_id.not_in(known)
            connection.execute(
                delete(job_logs).where(job_logs.c.job_id == job_id, job_logs.c.job_id.not_in(known))
            )
        digests.update(connection.execute(select(artifacts.c.sha256).where(which)).scalars())
        connection.execute(delete(artifacts).where(which))
    if items:
        events.record(connection, "master.cleaned", {"items": len(items)})
    return digests


def _remove_objects(
    connection: Connection, settings: MasterSettings, digests: set[str], *, freshly: set[str]
) -> int:
    """Remove files to which no row refers now; those that lost their row just now may be young."""
    known, freed = known_digests(connection), 0
    for digest in digests - known:
        path = settings.stored(digest)
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if digest in freshly or time.time() - facts.st_mtime > FRESH_S:
            path.unlink(missing_ok=True)
            freed += facts.st_size
    return freed


def _remove_folder(connection: Connection, settings: MasterSettings, item: Item) -> int:
    is_known = select(datasets.c.dataset_id).where(datasets.c.dataset_id == item.name)
    if connection.execute(is_known).scalar() is not None:
        return 0
    shutil.rmtree(settings.datasets_dir / item.name, ignore_errors=True)
    return item.bytes
