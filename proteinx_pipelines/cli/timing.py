"""How long a stage may take: medians over the experiments that this WORKDIR has finished."""

from collections.abc import Iterator
from statistics import median

from proteinx_pipelines.execution.pipeline_file import StageEntry, read_pipeline
from proteinx_pipelines.experiment_dir.layout import STAGES, ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.settings import Settings

MOST_FILES = 200
"""How many experiments are looked at, newest first."""


def expected_seconds(settings: Settings, flags: ExperimentFlags) -> dict[str, float]:
    """Expected seconds of computing each stage; a stage that was never computed here is left out."""
    same: dict[str, list[float]] = {stage: [] for stage in STAGES}
    other: dict[str, list[float]] = {stage: [] for stage in STAGES}
    wanted = {stage: canonical_json(flags.stage_document(stage)) for stage in STAGES}
    for stage, entry in _entries(settings):
        alike = canonical_json(dict(entry.flags)) == wanted[stage]
        (same if alike else other)[stage].append(entry.seconds)
    chosen = {stage: same[stage] or other[stage] for stage in STAGES}
    return {stage: median(seconds) for stage, seconds in chosen.items() if seconds}


def _entries(settings: Settings) -> Iterator[tuple[str, StageEntry]]:
    """Stages and their entries; one that was taken over tells the time of the experiment that computed it."""
    files = settings.experiments_dir.glob("*/config/pipeline.json")
    newest = sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)[:MOST_FILES]
    for path in newest:
        directory = ExperimentDir(settings.experiments_dir, path.parent.parent.name)
        yield from read_pipeline(directory.pipeline).stages.items()
