"""Keeps earlier generations readable: their metrics and report, below `generations/<n>/`.

The directory stays in place and its files are replaced, never edited, so the kept files are linked and not
copied; only `metrics.jsonl`, to which lines are appended, is a copy.

A generation that failed or was cancelled leaves the report of the one before it in place. That report is
not kept as its own.
"""

import secrets
import shutil

from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, sync_folder
from proteinx_pipelines.experiment_dir.layout import (
    DOCUMENT,
    FLAGS,
    METRICS,
    PIPELINE,
    PREDICTIONS,
    REPORT_HTML,
    REPORT_JSON,
    ExperimentDir,
)
from proteinx_pipelines.files.blobs.folder import place

_KEPT = (DOCUMENT, FLAGS, PIPELINE)
_RESULTS = (REPORT_HTML, REPORT_JSON, PREDICTIONS)
SUCCEEDED = "SUCCEEDED"
"""Status of a generation that wrote its own report."""


def archive_generation(directory: ExperimentDir, generation: int) -> None:
    """Keep the report of the generation before `generation`; does nothing for the first, or the second time.

    Must come before `experiment.json` speaks of `generation`. It is built aside and renamed: half of it is never found.
    """
    if not directory.document.is_file():
        return
    document = read_experiment(directory)
    previous = document.generation
    target = directory.generation_dir(previous)
    if previous >= generation or target.exists():
        return
    building = target.parent / f".{previous}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        for name in _KEPT + (_RESULTS if document.status == SUCCEEDED else ()):
            if directory.path(name).is_file():
                place(directory.path(name), building / name)
        if directory.metrics.is_file():
            (building / METRICS).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory.metrics, building / METRICS)
        building.rename(target)
        sync_folder(target.parent)
    except OSError:
        if not target.exists():  # otherwise another process has kept the same
            raise
    finally:
        for left in target.parent.glob(
            f".{previous}-*{PARTIAL_SUFFIX}"
        ):  # a killed process may have left one too
            shutil.rmtree(left, ignore_errors=True)
