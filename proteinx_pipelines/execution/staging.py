"""`<WORKDIR>/staging/`: an attempt writes here before its files become part of the experiment.

One folder an attempt, so that a superseded one that wakes up writes into a folder that nobody reads. A new attempt
inherits the finished folds and the checkpoints of an earlier one at the same training (the same key): that is how a
killed training continues, and how a failed or cancelled one does when its experiment is replayed.
"""

import contextlib
import re
import shutil
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.stages.train.resume import was_interrupted

_TRAINING = "training.json"
"""Name of the file beside the training's files: the key of that training."""
_ATTEMPT = re.compile(r"g(\d+)-a(\d+)")


def staging_dir(root: Path, experiment_id: str, generation: int, attempt: int) -> ExperimentDir:
    """The staging directory of one attempt; laid out as an experiment directory."""
    return ExperimentDir(root / f"g{generation}-a{attempt}", experiment_id)


def inherit_training(mine: ExperimentDir, *, key: str, first_generation: int) -> bool:
    """Move what earlier attempts at the same training left here, each folder from the newest that has it.

    Args:
        mine: the staging directory of the attempt that trains.
        key: key of the training, over its flags and inputs.
        first_generation: of the generations before this one, the first whose training may be continued.

    Returns:
        True if there is a training to continue.
    """
    if _key_of(mine) != key:  # a run by hand may reuse a folder of an earlier one
        for folder in _left_by_training(mine):
            shutil.rmtree(folder, ignore_errors=True)
    write_json(mine.root / _TRAINING, {"key": key})
    for earlier in _earlier_attempts(mine, first_generation):
        if was_interrupted(earlier) and _key_of(earlier) == key:
            for source, target in zip(_left_by_training(earlier), _left_by_training(mine), strict=True):
                if source.is_dir() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    source.rename(target)
    return was_interrupted(mine)


def disown_training(staging: ExperimentDir) -> None:
    """Leave an attempt's training files for people only: no later attempt continues from them."""
    (staging.root / _TRAINING).unlink(missing_ok=True)


def _left_by_training(staging: ExperimentDir) -> tuple[Path, ...]:
    """Folders that a training fills; records of finished folds come last, so that they never precede the models."""
    return staging.logs_dir, staging.checkpoints_dir, staging.model_dir, staging.shards_dir


def _earlier_attempts(mine: ExperimentDir, first_generation: int) -> list[ExperimentDir]:
    """The staging directories of this experiment's earlier attempts, newest first."""
    folders = mine.root.parent.parent.glob(f"*/{mine.experiment_id}")
    numbered = {folder: _numbers(folder) for folder in folders}
    earlier = [
        folder for folder, number in numbered.items() if (first_generation, 0) < number < _numbers(mine.root)
    ]
    return [
        ExperimentDir(folder.parent, mine.experiment_id)
        for folder in sorted(earlier, key=numbered.__getitem__, reverse=True)
    ]


def _numbers(folder: Path) -> tuple[int, int]:
    """Generation and attempt that a staging folder belongs to."""
    found = _ATTEMPT.fullmatch(folder.parent.name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _key_of(staging: ExperimentDir) -> str | None:
    try:
        return str(read_json(staging.root / _TRAINING)["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def adopt_rest(staging: ExperimentDir, directory: ExperimentDir) -> None:
    """Move a training's other files (checkpoints, loggers' files) into the experiment directory.

    Checkpoints of an earlier training are removed: neither manifest would list the other's checkpoints.
    """
    shutil.rmtree(directory.checkpoints_dir, ignore_errors=True)
    for folder in (staging.checkpoints_dir, staging.logs_dir):
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
