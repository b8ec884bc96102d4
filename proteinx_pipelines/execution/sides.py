"""One generation of an experiment, opened to be compared or explained: `gb1-001`, or `gb1-001@1` for an earlier one.

The current generation's files are in the experiment directory; what an earlier one selected and split is in the
store for as long as housekeeping keeps it, which is as long as its `pipeline.json` is there.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.execution.generations import SUCCEEDED
from proteinx_pipelines.execution.pipeline_file import read_pipeline
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_id import check_experiment_id
from proteinx_pipelines.pipeline.entries import PipelineFile
from proteinx_pipelines.settings import Settings

_LISTED = 8


@dataclass(frozen=True)
class Side:
    """A generation of an experiment."""

    name: str
    """As it was asked for."""
    directory: ExperimentDir
    generation: int
    root: Path
    """The experiment's root, or `generations/<n>/`."""
    is_current: bool
    flags: Mapping[str, Any]
    """Nested, defaults written out."""
    pipeline: PipelineFile
    report: Mapping[str, Any] | None
    """None when it has not come that far; what lies there then is the report of a generation before it."""
    store: StageStore

    def file(self, stage: str, name: str) -> Path | None:
        """A file that a stage left, by its name in the experiment directory; None when it is nowhere any more."""
        entry = self.pipeline.stages.get(stage)
        if self.is_current and self.directory.path(name).is_file():
            return self.directory.path(name)
        return self.store.file(stage, entry.key, name) if entry is not None else None


def open_side(settings: Settings, text: str) -> Side:
    """Open `<experiment_id>` or `<experiment_id>@<generation>`.

    Raises:
        UnknownExperiment: there is none; the message says what there is.
    """
    experiment_id, _, number = text.partition("@")
    directory = ExperimentDir(settings.experiments_dir, check_experiment_id(experiment_id))
    if not directory.document.is_file():
        raise UnknownExperiment(_unknown(settings, experiment_id))
    current = int(read_json(directory.document)["generation"])
    wanted = _number(text, number) if number else current
    root = directory.root if wanted == current else directory.generation_dir(wanted)
    if not (root / "experiment.json").is_file():
        kept = sorted(int(path.name) for path in directory.root.glob("generations/*") if path.name.isdigit())
        raise UnknownExperiment(
            f"{experiment_id} has no generation {wanted}; it has {', '.join(map(str, [*kept, current]))}."
        )
    document = read_json(root / "experiment.json")
    report = root / "artifacts" / "report.json"
    return Side(
        name=text,
        directory=directory,
        generation=wanted,
        root=root,
        is_current=wanted == current,
        # One that was cancelled while it waited has not written its `config/flags.json`.
        flags=document.get("flags") or read_json(root / "config" / "flags.json"),
        pipeline=read_pipeline(root / "config" / "pipeline.json"),
        report=read_json(report) if document.get("status") == SUCCEEDED and report.is_file() else None,
        store=StageStore(settings.workdir / "store"),
    )


def _number(text: str, number: str) -> int:
    if not number.isdigit():
        raise UnknownExperiment(
            f"{text!r}: the text behind @ is {number!r}; the number of a generation is expected."
        )
    return int(number)


def _unknown(settings: Settings, experiment_id: str) -> str:
    known = sorted(path.parent.name for path in settings.experiments_dir.glob("*/experiment.json"))
    archived = settings.workdir / "archive" / f"{experiment_id}.tar"
    if archived.is_file():
        return f"{experiment_id} is archived. Put it back with `proteinx experiment restore {experiment_id}`."
    near = difflib.get_close_matches(experiment_id, known, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"There is no experiment {experiment_id!r} in {settings.experiments_dir}.{guess} "
        f"There: {', '.join(known[:_LISTED]) or 'none'}."
    )
