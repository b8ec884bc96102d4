"""What of the Master's files may go, and why. Changes nothing."""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any, Literal

from sqlalchemy import Connection, func, select, union

from proteinx_pipelines.experiment_dir.files import facts_of
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, PREDICTIONS, REPORT_HTML, REPORT_JSON
from proteinx_pipelines.master.database.job_tables import artifacts, job_logs, jobs, trash
from proteinx_pipelines.master.database.tables import aliases, datasets
from proteinx_pipelines.master.jobs import trash as trash_of_jobs
from proteinx_pipelines.master.jobs.states import OPEN
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import MasterSettings

PARTIAL_S = 24 * 3600.0
"""Age, in seconds, up to which an unfinished upload is waited for."""
FRESH_S = 3600.0
"""Age, in seconds, up to which a file without a row may be on its way to one."""
RESULTS = (DOCUMENT, REPORT_HTML, REPORT_JSON, PREDICTIONS)
"""Files of every job that stay."""
Kind = Literal["upload", "object", "dataset", "artifact", "lines", "job"]


@dataclass(frozen=True)
class Item:
    """One thing that may go."""

    kind: Kind
    name: str
    """File, or job and path."""
    bytes: int
    reason: str


@dataclass(frozen=True)
class Findings:
    """What may go."""

    used_bytes: int
    """Size of the Master's files now."""
    budget_bytes: int | None
    items: tuple[Item, ...]

    @property
    def freed_bytes(self) -> int:
        """Bytes that removing all items frees."""
        return sum(item.bytes for item in self.items)

    def as_document(self) -> dict[str, Any]:
        """As plain JSON types."""
        left = self.used_bytes - self.freed_bytes
        return {
            "used_bytes": self.used_bytes,
            "budget_bytes": self.budget_bytes,
            "freed_bytes": self.freed_bytes,
            "left_bytes": left,
            "is_within_budget": self.budget_bytes is None or left <= self.budget_bytes,
            "items": [asdict(item) for item in self.items],
        }


def find(master: Master, budget_bytes: int | None = None, *, empty_trash: bool = False) -> Findings:
    """Find what may go: what nothing refers to, then, above the budget, what was not promised, oldest first.

    Args:
        master: whose files they are.
        budget_bytes: size that the Master's files may have; None leaves everything that a row refers to.
        empty_trash: whether deleted jobs go that could still be put back.
    """
    settings, now = master.settings, time.time()
    used = sum(
        _bytes_below(folder) for folder in (settings.objects_dir, settings.datasets_dir, settings.uploads_dir)
    )
    with master.database.reading() as connection:
        items = [
            *_partial(settings, now),
            *_objects(connection, settings, now),
            *_folders(connection, settings, now),
            *_lines(connection),
            *_trash(connection, all_of_it=empty_trash),
        ]
        over = 0 if budget_bytes is None else used - sum(item.bytes for item in items) - budget_bytes
        for item in _unpromised(connection) if over > 0 else ():
            if over <= 0:
                break
            items.append(item)
            over -= item.bytes
    return Findings(used, budget_bytes, tuple(items))


def known_digests(connection: Connection) -> set[str]:
    """Digests of the files that a row refers to."""
    found = set(connection.execute(select(artifacts.c.sha256).distinct()).scalars())
    for understood in connection.execute(select(datasets.c.understood)).scalars():
        found.add(understood["catalog_sha256"])
    return found


def _bytes_below(folder: Path) -> int:
    """Bytes of the files in a folder that are still there when they are looked at."""
    found = (facts_of(path) for path in folder.rglob("*"))
    return sum(facts.st_size for facts in found if facts is not None and S_ISREG(facts.st_mode))


def _older(paths: Iterable[Path], age_s: float, now: float) -> Iterator[tuple[Path, os.stat_result]]:
    """Paths that have not changed for longer than an age in seconds, and are still there."""
    for path in paths:
        facts = facts_of(path)
        if facts is not None and now - facts.st_mtime > age_s:
            yield path, facts


def _partial(settings: MasterSettings, now: float) -> Iterator[Item]:
    """Uploads that broke off and were not resumed."""
    for path, facts in _older(settings.uploads_dir.glob("*"), PARTIAL_S, now):
        size = facts.st_size if S_ISREG(facts.st_mode) else _bytes_below(path)
        yield Item("upload", path.name, size, "an upload that was not finished within a day")


def _objects(connection: Connection, settings: MasterSettings, now: float) -> Iterator[Item]:
    """Files by digest to which no row refers: their jobs or data sets were removed."""
    known = known_digests(connection)
    for path, facts in _older(settings.objects_dir.glob("??/*"), FRESH_S, now):
        if path.name not in known:
            yield Item("object", path.name, facts.st_size, "no job and no data set refers to it")


def _folders(connection: Connection, settings: MasterSettings, now: float) -> Iterator[Item]:
    """Folders of data sets that were removed."""
    known = set(connection.execute(select(datasets.c.dataset_id)).scalars())
    for path, _ in _older(settings.datasets_dir.glob("*"), FRESH_S, now):
        if path.name not in known:
            yield Item("dataset", path.name, _bytes_below(path), "the data set was removed")


def _lines(connection: Connection) -> Iterator[Item]:
    """Lines and files of jobs that were removed: rows, which free bytes when their files go."""
    known = union(select(jobs.c.job_id), select(trash.c.job_id))
    for table, what in ((job_logs, "lines"), (artifacts, "files")):
        query = (
            select(table.c.job_id, func.count()).where(table.c.job_id.not_in(known)).group_by(table.c.job_id)
        )
        for job_id, count in connection.execute(query):
            yield Item("lines", job_id, 0, f"{count:,} {what} of a job that was removed")


def _trash(connection: Connection, *, all_of_it: bool) -> Iterator[Item]:
    """Deleted jobs whose time is over. A file that another job has too frees nothing."""
    shared = select(artifacts.c.sha256).group_by(artifacts.c.sha256).having(func.count() > 1)
    for job_id in trash_of_jobs.over(connection, all_of_it=all_of_it):
        query = select(func.coalesce(func.sum(artifacts.c.size), 0)).where(
            artifacts.c.job_id == job_id, artifacts.c.sha256.not_in(shared)
        )
        yield Item("job", job_id, int(connection.execute(query).scalar_one()), "a job that was deleted")


def _unpromised(connection: Connection) -> Iterator[Item]:
    """Files of ended jobs that were not promised, oldest job first. A file that several jobs have frees nothing."""
    named = set(connection.execute(select(aliases.c.model_id)).scalars())
    newest = set(
        connection.execute(
            select(func.max(jobs.c.number)).where(jobs.c.state == "SUCCEEDED").group_by(jobs.c.experiment_id)
        ).scalars()
    )
    shared = set(
        connection.execute(
            select(artifacts.c.sha256).group_by(artifacts.c.sha256).having(func.count() > 1)
        ).scalars()
    )
    query = (
        select(jobs.c.number, jobs.c.job_id, artifacts.c.path, artifacts.c.size, artifacts.c.sha256)
        .join(artifacts, artifacts.c.job_id == jobs.c.job_id)
        .where(jobs.c.state.not_in(OPEN))
        .order_by(jobs.c.number, artifacts.c.size.desc())
    )
    for row in connection.execute(query):
        if row.number in newest or row.job_id in named or row.path in RESULTS or row.sha256 in shared:
            continue
        reason = "above the budget; not of the newest job of its experiment that has succeeded"
        yield Item("artifact", f"{row.job_id}/{row.path}", row.size, reason)
