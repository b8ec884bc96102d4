"""How long a stage may take: medians over the experiments that this WORKDIR has finished."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from proteinx_pipelines.execution.pipeline_file import StageEntry, read_pipeline
from proteinx_pipelines.experiment_dir.layout import STAGES, ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.settings import Settings

MOST_FILES = 200
"""How many experiments are looked at, newest first."""


def expected_seconds(settings: Settings, flags: ExperimentFlags) -> dict[str, float]:
    """Expected seconds of computing each stage; one that nothing like it was computed here is left out.

    The same flags tell best. Where there are none, the same models and embedders tell (a ridge says nothing
    about a network).
    """
    wanted = {stage: flags.stage_document(stage) for stage in STAGES}
    same: dict[str, list[float]] = {stage: [] for stage in STAGES}
    alike: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for stage, entry in _entries(settings):
        if canonical_json(dict(entry.flags)) == canonical_json(wanted[stage]):
            same[stage].append(entry.seconds)
        elif _names(entry.flags) == _names(wanted[stage]):
            alike[stage].append(entry.seconds)
    chosen = {stage: same[stage] or alike[stage] for stage in STAGES}
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
    directories = ExperimentDir.all(settings.experiments_dir)
    files = [each.pipeline for each in directories if not each.is_hidden and each.pipeline.is_file()]
    for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_FILES]:
        yield from read_pipeline(path).stages.items()
