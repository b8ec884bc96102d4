"""Earlier generations stay readable: their metrics and report, below `generations/<n>/`.

The directory stays in place and its files are replaced, never edited, so what is kept here is linked and not
copied; only `metrics.jsonl`, to which lines are appended, is a copy.
"""

import shutil

from proteinx_pipelines.execution.store import place
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir

_KEPT = (
    "experiment.json",
    "config/flags.json",
    "config/pipeline.json",
    "artifacts/report.html",
    "artifacts/report.json",
    "artifacts/predictions.parquet",
)


def archive_generation(directory: ExperimentDir, generation: int) -> None:
    """Keep what the generation before `generation` reported; nothing to do for the first, or the second time."""
    if not directory.document.is_file():
        return
    previous = int(read_json(directory.document)["generation"])
    target = directory.generation_dir(previous)
    if previous >= generation or target.exists():
        return
    for name in _KEPT:
        if directory.path(name).is_file():
            place(directory.path(name), target / name)
    if directory.metrics.is_file():
        (target / "metrics").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(directory.metrics, target / "metrics" / directory.metrics.name)
