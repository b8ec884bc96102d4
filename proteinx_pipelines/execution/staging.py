"""`<WORKDIR>/staging/`: where an attempt writes before its files become part of the experiment.

One folder an attempt, so that a superseded one that wakes up writes into a folder that nobody reads. A new
attempt inherits the checkpoints of the one before it: that is how a killed training continues.
"""

import contextlib
import shutil
from pathlib import Path

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.stages.train.resume import interrupted_training


def staging_dir(root: Path, experiment_id: str, generation: int, attempt: int) -> ExperimentDir:
    """The staging directory of one attempt; laid out as an experiment directory."""
    return ExperimentDir(root / f"g{generation}-a{attempt}", experiment_id)


def inherit_checkpoints(root: Path, mine: ExperimentDir, generation: int, attempt: int) -> Path | None:
    """Move the checkpoints of the newest earlier attempt of this generation here; where they are now, or None."""
    for number in range(attempt - 1, 0, -1):
        earlier = staging_dir(root, mine.experiment_id, generation, number)
        if earlier.checkpoints_dir.is_dir() and not mine.checkpoints_dir.exists():
            mine.root.mkdir(parents=True, exist_ok=True)
            earlier.checkpoints_dir.rename(mine.checkpoints_dir)
            break
    return interrupted_training(mine) if mine.checkpoints_dir.is_dir() else None


def adopt_rest(staging: ExperimentDir, directory: ExperimentDir) -> None:
    """Move what a training left besides its result (checkpoints, loggers' files) into the experiment directory.

    Checkpoints of an earlier training go: its manifest would not list the new ones, nor the new one the old.
    """
    shutil.rmtree(directory.checkpoints_dir, ignore_errors=True)
    for folder in (staging.checkpoints_dir, staging.root / "logs"):
        if not folder.is_dir():
            continue
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                target = directory.path(path.relative_to(staging.root).as_posix())
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)


def remove_staging(root: Path, experiment_id: str) -> None:
    """Remove all staging folders of an experiment, and the attempts' folders that are empty then."""
    for folder in root.glob(f"*/{experiment_id}"):
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another experiment works in the same attempt's folder
            folder.parent.rmdir()
