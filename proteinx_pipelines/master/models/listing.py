"""Models as documents: score and interval, data, flags, size, aliases."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, select

from proteinx_pipelines.errors import InputError, MissingArtifact
from proteinx_pipelines.experiment_dir.layout import REPORT_JSON
from proteinx_pipelines.master.artifacts.index import JobFile, file_of, paths_of
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import aliases
from proteinx_pipelines.master.jobs.listing import JobFilter
from proteinx_pipelines.master.jobs.ordering import count, numbers_of, rows_of
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.models.aliases import aliases_of, model_named

MODEL, FINAL = "artifacts/model/", "artifacts/model/final/"
"""Folders of a job's files: every model, and the one of all labelled rows."""
IS_MODEL = and_(jobs.c.state == "SUCCEEDED", jobs.c.kind == "experiment")


class UnknownModel(InputError):
    """There is no model of this id or name."""

    code = "unknown_model"


def find_model(connection: Connection, model: str) -> dict[str, Any]:
    """The row of the job that trained a model, by its id, by an alias (`champion`, `@champion`), or by its experiment.

    Raises:
        UnknownModel: there is none, or the job has not ended with success.
    """
    name = model.removeprefix("@")
    job_id = model_named(connection, name) or name
    query = (
        select(jobs)
        .where(IS_MODEL, (jobs.c.job_id == job_id) | (jobs.c.experiment_id == job_id))
        .order_by(jobs.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownModel(f"There is no model {model[:100]!r}. `GET /api/models` lists them.")
    return dict(row)


def list_models(
    master: Master, wanted: JobFilter, *, alias: str | None = None, sort: str = "-created_at", page: int = 1,
    size: int = 50,
) -> dict[str, Any]:  # fmt: skip
    """A page of models.

    Args:
        master: whose models they are.
        wanted: which jobs.
        alias: only the model that has this name.
        sort: as for jobs; `-metric.test/spearman` is the best first.
        page: from 1.
        size: of a page.
    """
    with master.database.reading() as connection:
        conditions = [IS_MODEL, *wanted.conditions(connection)]
        if alias is not None:
            named = select(aliases.c.model_id).where(aliases.c.name == alias.removeprefix("@"))
            conditions.append(jobs.c.job_id.in_(named))
        total = count(connection, conditions)
        rows = rows_of(connection, numbers_of(connection, conditions, sort, (page - 1) * size, size))
        names = aliases_of(connection, [row["job_id"] for row in rows])
    items = [model_document(master, row, names.get(row["job_id"], [])) for row in rows]
    return {"items": items, "total": total, "page": page, "size": size}


def describe_model(master: Master, model: str) -> dict[str, Any]:
    """One model, with its files and the numbers of its report.

    Raises:
        UnknownModel: there is none.
    """
    with master.database.reading() as connection:
        row = find_model(connection, model)
        names = aliases_of(connection, [row["job_id"]]).get(row["job_id"], [])
    report = _report(master, row)
    files = paths_of(master, row, MODEL)
    return {
        **model_document(master, row, names),
        "files": [{"path": path, "size": size} for path, size in sorted(files.items())],
        "warnings": report.get("warnings", []),
        "metrics": report.get("metrics", {}),
    }


def model_document(master: Master, row: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """The document of one model.

    Args:
        master: whose model it is.
        row: of the job that trained it.
        names: its aliases.
    """
    metric = _metric(row)
    summary = row["summary"] or {}
    sizes = paths_of(master, row, MODEL)
    has_final = any(path.startswith(FINAL) for path in sizes)
    return {
        "model_id": row["job_id"],
        "job_id": row["job_id"],
        "experiment_id": row["experiment_id"],
        "generation": row["generation"],
        "aliases": names,
        "model": row["model"],
        "embedding": (row["flags"].get("embedding") or {}).get("name"),
        "source": row["source"],
        "data": {"source": row["source"], "dataset": row["dataset"], "payload_ref": row["payload_ref"]},
        "metric": metric,
        "score": summary.get(f"test/{metric}"),
        "interval": _interval(_report(master, row), metric),
        "summary": summary,
        "flags": row["flags"],
        "size": sum(size for path, size in sizes.items() if path.startswith(FINAL) or not has_final),
        "has_final": has_final,
        "node": row["node"],
        "group": row["group_id"],
        "created_at": row["finished_at"] or row["created_at"],
    }


def model_files(master: Master, row: Mapping[str, Any]) -> list[JobFile]:
    """Files of a model: those of all labelled rows, else those of every fold.

    Raises:
        MissingArtifact: they are not here.
    """
    paths = sorted(paths_of(master, row, MODEL))
    final = [path for path in paths if path.startswith(FINAL)]
    if not paths:
        raise MissingArtifact(
            f"The files of {row['job_id']} are not on this Master; its node {row['node']} sends them when it is "
            "connected."
        )
    return [file_of(master, row, path) for path in final or paths]


def _metric(row: Mapping[str, Any]) -> str:
    """The metric that ranks: the first of those that were asked for."""
    asked = (row["flags"].get("evaluate") or {}).get("metrics") or ["spearman"]
    return str(asked[0])


def _report(master: Master, row: Mapping[str, Any]) -> dict[str, Any]:
    """The report's document; empty where it is not here."""
    try:
        found = file_of(master, row, REPORT_JSON)
    except MissingArtifact:
        return {}
    return _read(found.place, found.sha256)


@lru_cache(maxsize=512)
def _read(place: Path, _sha256: str) -> dict[str, Any]:
    """A report, read once for each content: a page of models reads as many."""
    try:
        document = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    kept = ("metrics", "warnings")
    return {name: document[name] for name in kept if name in document} if isinstance(document, dict) else {}


def _interval(report: Mapping[str, Any], metric: str) -> list[float] | None:
    """Ends of the confidence interval of the test value."""
    try:
        value = report["metrics"]["test"]["values"][metric]
        return [value["low"], value["high"]]
    except (KeyError, TypeError):
        return None
