"""Commands that read the files of experiments, at a Master: `lineage`, `compare` and `diff`."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from proteinx_pipelines.cli.at_master import client_of, job_of

if TYPE_CHECKING:
    from proteinx_pipelines.client.client import Client
    from proteinx_pipelines.contract.job import JobDocument
    from proteinx_pipelines.contract.report import Report
    from proteinx_pipelines.experiment import Experiment
    from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
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


@dataclass(frozen=True)
class FetchedGeneration:
    """The generation that a job has worked on (`services.ports.OpenedGeneration`); files are fetched when asked for."""

    client: "Client"
    job: "JobDocument"
    name: str
    """Name as requested."""
    folder: Path
    """Where its files are put."""

    @property
    def flags(self) -> Mapping[str, Any]:
        """Nested, defaults written out."""
        return self.job.flags

    @cached_property
    def pipeline(self) -> "PipelineFile":
        """`pipeline.json`; empty for a job that has finished no stage."""
        from proteinx_pipelines.experiment_dir.layout import PIPELINE
        from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
        from proteinx_pipelines.pipeline.entries import PipelineFile

        place = self._place(PIPELINE)
        return PipelineFile() if place is None else read_pipeline(place)

    @property
    def stages(self) -> Mapping[str, "StageEntry"]:
        """The finished stages, by name."""
        return self.pipeline.stages

    @cached_property
    def report(self) -> "Report | None":
        """Its report; None where it has not come that far."""
        from proteinx_pipelines.contract.report import Report
        from proteinx_pipelines.experiment_dir.layout import REPORT_JSON

        place = self._place(REPORT_JSON) if self.job.state == "SUCCEEDED" else None
        return None if place is None else Report.model_validate_json(place.read_bytes())

    def file(self, stage: str, name: str) -> Path | None:  # noqa: ARG002  # all stages of a job are in one folder
        """A file of a stage; None where the Master has none."""
        return self._place(name)

    def _place(self, name: str) -> Path | None:
        from proteinx_pipelines.client.http_link import MasterRefused

        place = self.folder / self.job.job_id / name
        if place.is_file():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self.client.download(self.job, name, place)
        except MasterRefused as error:
            if error.status == 404:
                return None
            raise


@contextmanager
def generations_of(url: str, names: Sequence[str]) -> Iterator[list[FetchedGeneration]]:
    """Jobs, by their ids, their experiments' or `ID@GENERATION`, whose files are fetched while the block lasts.

    Raises:
        ClickException: there is no such job.
    """
    with client_of(url) as client, TemporaryDirectory(prefix="proteinx-diff-") as folder:
        yield [
            FetchedGeneration(client, job_of_generation(client, name), name, Path(folder)) for name in names
        ]


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
