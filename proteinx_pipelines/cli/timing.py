"""How long a stage may take: medians over the experiments that this WORKDIR has finished."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from proteinx_pipelines.execution.pipeline_file import read_pipeline
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import stages_of
from proteinx_pipelines.settings import Settings

MOST_FILES = 200
"""How many experiments are looked at, newest first."""


def expected_seconds(settings: Settings, flags: ExperimentFlags) -> dict[str, float]:
    """Expected seconds of computing each stage; one that nothing like it was computed here is left out.

    The same flags tell best. Where there are none, the same models and embedders tell (a ridge says nothing
    about a network).
    """
    wanted = {stage.name: stage.document(flags) for stage in stages_of(flags)}
    same: dict[str, list[float]] = {stage: [] for stage in wanted}
    alike: dict[str, list[float]] = {stage: [] for stage in wanted}
    for stage, entry in _entries(settings):
        if stage not in wanted:
            continue
        if canonical_json(dict(entry.flags)) == canonical_json(wanted[stage]):
            same[stage].append(entry.seconds)
        elif _names(entry.flags) == _names(wanted[stage]):
            alike[stage].append(entry.seconds)
    chosen = {stage: same[stage] or alike[stage] for stage in wanted}
    return {stage: median(seconds) for stage, seconds in chosen.items() if seconds}


def _names(document: Mapping[str, Any]) -> dict[str, Any]:
    """What is run, without its settings: `{"model": "mlp"}`."""
    return {
        group: values["name"]
        for group, values in document.items()
        if isinstance(values, Mapping) and "name" in values
    }


def _entries(settings: Settings) -> Iterator[tuple[str, StageEntry]]:
    """Stages and their entries; one that was taken over tells the time of the experiment that computed it."""
    files = settings.experiments_dir.glob("*/config/pipeline.json")
    newest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_FILES]
    for path in newest:
        directory = ExperimentDir(settings.experiments_dir, path.parent.parent.name)
        yield from read_pipeline(directory.pipeline).stages.items()
