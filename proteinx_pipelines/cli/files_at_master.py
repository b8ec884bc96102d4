"""Commands that read the files of experiments, at a Master: `lineage` and `compare`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.at_master import client_of, job_of

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client
    from proteinx_pipelines.contract.job import JobDocument
    from proteinx_pipelines.experiment import Experiment
    from proteinx_pipelines.services.lineage import Lineage


def lineage_of(url: str, name: str) -> "Lineage":
    """The lineage of a job, by its id or its experiment's, `ID@2` for the second generation.

    Raises:
        MasterRefused: it has finished no stage yet, or its files are gone.
        ClickException: there is no such job.
    """
    with client_of(url) as client:
        job_id = job_of_generation(client, name).job_id
        found = client.ask_document(f"/api/jobs/{job_id}/lineage")
    return _lineage(found)


@contextmanager
def experiments_of(url: str, names: Sequence[str], group: str | None) -> Iterator["list[Experiment]"]:
    """What comparing reads of experiments, fetched into a folder that is removed at the end.

    Args:
        url: of the Master.
        names: of jobs or experiments.
        group: id or name of a group of the Master, whose successful jobs are added; None for none.

    Raises:
        MasterRefused: a job has no report yet, or its files are gone.
        ClickException: there is no such job, or none of the group has succeeded.
    """
    from proteinx_pipelines.experiment import open_experiment

    with client_of(url) as client, TemporaryDirectory(prefix="proteinx-compare-") as folder:
        jobs = {job.job_id: job for job in (job_of_generation(client, name) for name in names)}
        if group is not None:
            of_group = list(client.jobs(group=group, state="SUCCEEDED", sort="created_at"))
            if not of_group:
                raise click.ClickException(f"No job of the group {group!r} of this Master has succeeded.")
            jobs |= {job.job_id: job for job in of_group}
        yield [open_experiment(_fetched(client, job, Path(folder))) for job in jobs.values()]


def job_of_generation(client: "Client", name: str) -> "JobDocument":
    """A job by its id, by its experiment's, or by `ID@GENERATION`.

    Raises:
        ClickException: there is none.
    """
    experiment_id, at, number = name.rpartition("@")
    if not at or not number.isdecimal():
        return job_of(client, name)
    for job in client.jobs(experiment_id=experiment_id):
        if job.generation == int(number):
            return job
    raise click.ClickException(f"The Master has no job of generation {number} of {experiment_id!r}.")


def _fetched(client: "Client", job: "JobDocument", folder: Path) -> Path:
    """The directory with the files that comparing reads, under the experiment's name."""
    from proteinx_pipelines.experiment_dir.layout import DOCUMENT, FLAGS, PREDICTIONS, REPORT_JSON

    root = folder / job.experiment_id
    if root.exists():  # another job of the same experiment
        root = folder / f"{job.experiment_id}-{job.job_id}"
    for name in (REPORT_JSON, DOCUMENT, FLAGS, PREDICTIONS):
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        client.download(job, name, place)
    return root


def _lineage(found: Mapping[str, Any]) -> "Lineage":
    from proteinx_pipelines.services.lineage import Ancestor, Ancestry, Lineage

    ancestors = tuple(Ancestor(**each) for each in found["ancestors"])
    rounds = tuple(Ancestry(**each) for each in found["rounds"])
    return Lineage(found["metrics"], ancestors, found["query"], tuple(found["broken"]), rounds)
