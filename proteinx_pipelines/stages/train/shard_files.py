"""Files of finished shards: where they are, which are intact, and which are of an earlier training."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import file_sha256, read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.stages.train.export import MODEL_FILES
from proteinx_pipelines.stages.train.shard import Shard, ShardResult


def finished_shards(shards: Sequence[Shard], directory: ExperimentDir) -> dict[int, ShardResult]:
    """Fold -> record, for shards that are finished and intact in `directory`; every byte is checked.

    The caller must check that they are of the same training.
    """
    found = {}
    for shard in shards:
        try:
            result = read_result(shard, directory)
            folder = model_folder(directory, shard.fold)
            whole = set(result.files) == set(MODEL_FILES) and all(
                file_sha256(folder / name) == digest for name, digest in result.files.items()
            )
        except (OSError, ValueError, TypeError, AttributeError):  # none, or half of what a crash left
            continue
        if whole and (result.fold, result.seed) == (shard.fold, shard.seed):
            found[shard.fold] = result
    return found


def read_result(shard: Shard, directory: ExperimentDir) -> ShardResult:
    """Read the record of a finished fold, unverified."""
    return ShardResult(**read_json(directory.shard(shard.fold)))


def forget_shards(directory: ExperimentDir, keep: Mapping[int, ShardResult]) -> None:
    """Remove files of other shards, such as those of an earlier training with more folds."""
    if not keep:
        shutil.rmtree(directory.shards_dir, ignore_errors=True)
        shutil.rmtree(directory.model_dir, ignore_errors=True)
        return
    kept = {path for fold in keep for path in (directory.shard(fold), model_folder(directory, fold))}
    for path in (*directory.shards_dir.glob("*"), *directory.model_dir.glob("*")):
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def model_folder(directory: ExperimentDir, fold: int) -> Path:
    """Folder of the model of a fold."""
    return directory.model_dir / f"fold_{fold}"
