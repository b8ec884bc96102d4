"""Lineage of a job: its metrics traced back to the measured rows, from the files that its node left or sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.errors import MissingArtifact, ProteinxError
from proteinx_pipelines.experiment_dir.campaign_dir import campaigns_of
from proteinx_pipelines.experiment_dir.layout import PIPELINE, REPORT_JSON
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.master.artifacts.index import file_of
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.services.lineage import Lineage, lineage


@dataclass(frozen=True)
class _JobGeneration:
    """The generation that a job has worked on (`services.ports.OpenedGeneration`)."""

    master: Master
    row: Mapping[str, Any]
    folder: str
    """Of its files below the experiment: empty, or `generations/<n>/` where a later job went on."""
    pipeline: PipelineFile

    @property
    def name(self) -> str:
        """Id of the experiment."""
        return str(self.row["experiment_id"])

    @property
    def flags(self) -> Mapping[str, Any]:
        """Nested, defaults written out."""
        flags: Mapping[str, Any] = self.row["flags"]
        return flags

    @property
    def stages(self) -> Mapping[str, StageEntry]:
        """The finished stages, by name."""
        return self.pipeline.stages

    @property
    def report(self) -> Report | None:
        """Its report; None where it has none that this version reads."""
        place = _place(self.master, self.row, self.folder + REPORT_JSON)
        if place is None or self.row["state"] != "SUCCEEDED":
            return None
        try:
            return Report.model_validate_json(place.read_bytes())
        except (OSError, ValueError):
            return None

    def file(self, stage: str, name: str) -> Path | None:  # noqa: ARG002  # all stages of a job are in one folder
        """A file of a stage; None where it no longer exists."""
        return _place(self.master, self.row, self.folder + name)


def lineage_of(master: Master, row: Mapping[str, Any]) -> Lineage:
    """Trace a job's metrics. Not for the event loop.

    Args:
        master: whose job it is.
        row: of the job.

    Raises:
        MissingArtifact: the job has finished no stage yet, or its files are gone.
    """
    for folder in ("", f"generations/{row['generation']}/"):
        place = _place(master, row, folder + PIPELINE)
        found = _read(place) if place is not None else PipelineFile()
        if found.stages and row["generation"] in (None, found.generation):
            opened = _JobGeneration(master, row, folder, found)
            return lineage(opened, campaigns_of(master.settings.node.paths.campaigns_dir))
    raise MissingArtifact(
        f"{row['job_id']} has no lineage: it has finished no stage yet, or `{PIPELINE}` is no longer among its files."
    )


def _read(place: Path) -> PipelineFile:
    try:
        return read_pipeline(place)
    except (OSError, ValueError):
        return PipelineFile()


def _place(master: Master, row: Mapping[str, Any], path: str) -> Path | None:
    try:
        return file_of(master, row, path).place
    except ProteinxError:
        return None
