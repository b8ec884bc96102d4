"""One generation of an experiment, opened to be compared or explained: `gb1-001`, or `gb1-001@1` for an earlier one.

The current generation's files are in the experiment directory; the selection and split of an earlier one are in the
store for as long as housekeeping keeps them, which is as long as its `pipeline.json` is there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.execution.generations import SUCCEEDED
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.documents import read_experiment, read_report
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.experiment_id import check_experiment_id
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.services.lookup import unknown_experiment
from proteinx_pipelines.settings import Settings


@dataclass(frozen=True)
class OpenedGeneration:
    """A generation of an experiment, opened for reading."""

    name: str
    """Name that the caller asked for."""
    directory: ExperimentDir
    generation: int
    root: Path
    """The experiment's root, or `generations/<n>/`."""
    is_current: bool
    flags: Mapping[str, Any]
    """Nested, defaults written out."""
    pipeline: PipelineFile
    report: Report | None
    """None when it has not come that far; the file there is then an earlier generation's report."""
    store: StageStore

    @property
    def stages(self) -> Mapping[str, StageEntry]:
        """Stages that the generation has finished, by name."""
        return self.pipeline.stages

    def file(self, stage: str, name: str) -> Path | None:
        """File of a stage, by its name in the experiment directory; None when it no longer exists anywhere."""
        entry = self.pipeline.stages.get(stage)
        if self.is_current and self.directory.path(name).is_file():
            return self.directory.path(name)
        return self.store.file(stage, entry.key, name) if entry is not None else None


def open_named_generation(settings: Settings, text: str) -> OpenedGeneration:
    """Open `<experiment_id>` or `<experiment_id>@<generation>`.

    Raises:
        UnknownExperiment: there is no such generation; the message lists those there are.
    """
    experiment_id, _, number = text.partition("@")
    directory = ExperimentDir(settings.experiments_dir, check_experiment_id(experiment_id))
    if not directory.document.is_file():
        raise _unknown(settings, experiment_id)
    current = read_experiment(directory).generation
    wanted = _number(text, number) if number else current
    own = directory if wanted == current else directory.at_generation(wanted)
    if not own.document.is_file():
        there = ", ".join(map(str, [*directory.kept_generations(), current]))
        raise UnknownExperiment(f"{experiment_id} has no generation {wanted}; it has {there}.")
    document = read_experiment(own)
    has_report = document.status == SUCCEEDED and own.report_json.is_file()
    return OpenedGeneration(
        name=text,
        directory=directory,
        generation=wanted,
        root=own.root,
        is_current=wanted == current,
        # A generation cancelled while it waited has not written its `config/flags.json`.
        flags=document.flags or read_json(own.flags),
        pipeline=read_pipeline(own.pipeline),
        report=read_report(own) if has_report else None,
        store=StageStore(settings.paths.store_dir),
    )


def _number(text: str, number: str) -> int:
    if not number.isdigit():
        raise UnknownExperiment(
            f"{text!r}: the text behind @ is {number!r}; the number of a generation is expected."
        )
    return int(number)


def _unknown(settings: Settings, experiment_id: str) -> UnknownExperiment:
    known = ExperimentDir.known_ids(settings.experiments_dir)
    archived = settings.paths.archive(experiment_id)
    if archived.is_file():
        return UnknownExperiment(
            f"{experiment_id} is archived. Put it back with `proteinx experiment restore {experiment_id}`."
        )
    return unknown_experiment(experiment_id, known, where=f" in {settings.experiments_dir}")
