"""Jobs and their experiment directories, as a node leaves them."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.jobs.metric_rows import write_metrics
from proteinx_pipelines.master.master import Master

RIDGE = {"data": {"source": "GB1"}, "model": {"name": "ridge"}}


def new_job(master: Master, experiment_id: str = "gb1", *, kind: str = "experiment", **columns: Any) -> str:
    """A job in the database."""
    checked = check(JobRequest(flags=RIDGE, experiment_id=experiment_id))
    job_id = master.database.write(lambda connection: create(connection, checked, caller="test", kind=kind))
    if columns:
        change(master, job_id, **columns)
    return job_id


def change(master: Master, job_id: str, **columns: Any) -> None:
    """Change a job's row; metrics also where lists find them, as dispatch writes them."""

    def work(connection: Connection) -> None:
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**columns))
        if "summary" in columns:
            write_metrics(connection, job_id, columns["summary"])

    master.database.write(work)


def end(master: Master, job_id: str, state: str = "SUCCEEDED") -> None:
    """End a job."""
    change(master, job_id, state=state, finished_at=timestamp())


def directory_of(master: Master, experiment_id: str = "gb1") -> ExperimentDir:
    """The experiment's directory on this machine, with a log, metrics and a report."""
    directory = ExperimentDir(master.settings.node.experiments_dir, experiment_id)
    write_event(directory, "stage_started")
    write_metric(directory, "train/loss", 0.5)
    directory.artifacts_dir.mkdir(parents=True)
    directory.report_html.write_text("<h1>Report</h1>", encoding="utf-8")
    return directory


def write_event(directory: ExperimentDir, name: str, **payload: Any) -> None:
    """Append an event, as a running stage does."""
    _append(
        directory.events(1, 1),
        {"event": name, "stage": "train", "timestamp": timestamp(), "payload": payload},
    )


def write_metric(
    directory: ExperimentDir, name: str, value: float, generation: int = 1, time: str = ""
) -> None:
    """Append a value, as a running stage does."""
    facts = {"generation": generation, "attempt": 1, "time": time or timestamp()}
    _append(directory.metrics, {"name": name, "value": value, "step": 1, "epoch": 0, "fold": None, **facts})


def _append(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(document) + "\n")
