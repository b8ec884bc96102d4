"""Folds of a training, and the `train.seeds` and `train.parts` within them, as shards that workers fit at once.

A worker gets all records of the training once, and of each shard the numbers of fold and seed. It fits in a temporary
folder and gives back every file below it. The node puts them where it would have written them itself; models of
several seeds it combines first. A model that was read back predicts and is written as the one that was fitted.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.experiment_dir.files import json_ready, write_bytes
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.spreading import Files, JournalMonitor, Spread, replay
from proteinx_pipelines.stages.train.ensemble import restore
from proteinx_pipelines.stages.train.fold_units import Unit, fit_unit, units_of
from proteinx_pipelines.stages.train.resume import LAST_CHECKPOINT
from proteinx_pipelines.stages.train.shard import Shard, ShardInputs, ShardResult
from proteinx_pipelines.stages.train.shard_files import read_result
from proteinx_pipelines.stages.train.shards import run_shard
from proteinx_pipelines.stages.train.task import Fit

JOURNAL = "journal.json"
_SETTINGS, _TENSORS = "fit.json", "fit.safetensors"
_FILES = "files/"
"""Before the names of files that belong into the directory of the training."""


@dataclass(frozen=True)
class Start:
    """A checkpoint to continue from."""

    content: bytes
    is_own: bool
    """True if an earlier attempt at this training left it; false if a flag names it."""


@dataclass(frozen=True)
class FoldTask:
    """One fold, or one of its seeds and parts."""

    shard: Shard
    unit: Unit
    start: Start | None = None


@dataclass(frozen=True)
class FoldWork:
    """Fits folds of one training."""

    inputs: ShardInputs
    kind = "fold"
    n_threads = None
    passing = (f"{_FILES}ckpts/", f"{_FILES}logs/")  # as of a stage that is taken over

    def label(self, task: FoldTask) -> Mapping[str, Any]:
        """Its numbers; the key of the training says everything else."""
        return {"fold": task.shard.fold, "seed_number": task.unit.member, "part": task.unit.part}

    def __call__(self, task: FoldTask) -> Files:
        """Fit one shard in a worker."""
        with tempfile.TemporaryDirectory(prefix="proteinx-shard-", ignore_cleanup_errors=True) as folder:
            directory, monitor = ExperimentDir(Path(folder), "shard"), JournalMonitor()
            checkpoint = self._place(task, directory)
            own: dict[str, bytes] = {}
            if len(units_of(self.inputs.flags)) == 1:
                run_shard(
                    task.shard, self.inputs, directory=directory, monitor=monitor, checkpoint=checkpoint
                )
            else:
                own = _fit_files(
                    fit_unit(task.shard, self.inputs, task.unit, directory=directory, monitor=monitor)
                )
            return {**_files_below(directory), **own, JOURNAL: monitor.content()}

    def _place(self, task: FoldTask, directory: ExperimentDir) -> Path | None:
        if task.start is None:
            return None
        name = f"fold_{task.shard.fold}" if task.shard.n_folds > 1 else "."
        folder = directory.checkpoints_dir / name if task.start.is_own else directory.root.with_name("given")
        return write_bytes(folder / LAST_CHECKPOINT, task.start.content)


def fit_spread(
    spread: Spread,
    shards: Sequence[Shard],
    inputs: ShardInputs,
    *,
    starts: Sequence[Path | None],
    directory: ExperimentDir,
    monitor: StageMonitor,
) -> Iterator[ShardResult]:
    """Fit folds by workers, and put their files where this process would have written them.

    Args:
        spread: the workers.
        shards: the folds to fit.
        inputs: records and flags.
        starts: checkpoint of each fold of the training, by its number.
        directory: of the training.
        monitor: receives what the workers' monitors were told, fold by fold as they end; may stop them all.

    Yields:
        Record of each fold, as they end.
    """
    units = units_of(inputs.flags)
    is_whole = len(units) == 1
    tasks = [
        FoldTask(shard, unit, _start(starts[shard.fold], directory) if is_whole else None)
        for shard in shards
        for unit in units
    ]
    fits: dict[int, dict[Unit, Fit]] = {}
    for number, files in spread.compute(FoldWork(inputs), tasks, _alive(monitor, len(tasks))):
        task = tasks[number]
        _put(files, directory)
        replay(files[JOURNAL], monitor)
        if is_whole:
            yield read_result(task.shard, directory)
            continue
        fits.setdefault(task.shard.fold, {})[task.unit] = _read_fit(inputs, files)
        if len(found := fits[task.shard.fold]) == len(units):
            ordered = [found[unit] for unit in units]
            yield run_shard(task.shard, inputs, directory=directory, monitor=monitor, units=ordered)
            del fits[task.shard.fold]


def _alive(monitor: StageMonitor, n: int) -> Callable[[int], None]:
    return lambda done: monitor.progress(done, n, f"{done} of {n} fits")


def _start(path: Path | None, directory: ExperimentDir) -> Start | None:
    if path is None:
        return None
    return Start(path.read_bytes(), path.is_relative_to(directory.checkpoints_dir))


def _files_below(directory: ExperimentDir) -> dict[str, bytes]:
    """Every file of a shard; its record last, so that it is put last."""
    found = {
        _FILES + path.relative_to(directory.root).as_posix(): path.read_bytes()
        for path in sorted(directory.root.rglob("*"))
        if path.is_file()
    }
    records = [name for name in found if (directory.shards_dir.name + "/") in name]
    return {**{name: content for name, content in found.items() if name not in records},
            **{name: found[name] for name in records}}  # fmt: skip


def _put(files: Files, directory: ExperimentDir) -> None:
    ordered = sorted(files, key=lambda name: name.startswith(f"{_FILES}{directory.shards_dir.name}/"))
    for name in ordered:
        if name.startswith(_FILES):
            write_bytes(directory.path(name.removeprefix(_FILES)), files[name])


def _fit_files(fit: Fit) -> dict[str, bytes]:
    from safetensors.numpy import save

    document = {"settings": json_ready(fit.predictor.settings()), "info": json_ready(dict(fit.info))}
    tensors = {name: np.ascontiguousarray(value) for name, value in fit.predictor.tensors().items()}
    return {_SETTINGS: json.dumps(document).encode("utf-8"), _TENSORS: save(tensors)}


def _read_fit(inputs: ShardInputs, files: Files) -> Fit:
    document = json.loads(files[_SETTINGS])
    predictor = restore(inputs.entry.name, document["settings"], read_arrays(files[_TENSORS]))
    return Fit(predictor, document["info"])
