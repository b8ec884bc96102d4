"""Predictions of a library by shards: runs of the blocks that one process would predict, so the bits are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.spreading import Files, JournalMonitor, Spread
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.final_model import FinalModel

_FILE = "predictions.safetensors"


@dataclass(frozen=True)
class LibraryTask:
    """A run of blocks."""

    start: int
    """Number of the first variant in the library."""
    pieces: tuple[Candidates, ...]


@dataclass(frozen=True)
class LibraryWork:
    """Predicts blocks of one library."""

    model: FinalModel
    kind = "library"
    n_threads = None
    passing = ()

    def label(self, task: LibraryTask) -> Mapping[str, Any]:
        """First variant and number of variants; the key of the stage says which library."""
        return {"start": task.start, "n": sum(piece.n for piece in task.pieces)}

    def __call__(self, task: LibraryTask) -> Files:
        """Predict a run of blocks in a worker."""
        from safetensors.numpy import save

        monitor, found = JournalMonitor(), []
        for piece in task.pieces:
            monitor.progress(0, 1)
            found.append(self.model.raw(piece, monitor))
        mean, deviation = (np.concatenate([pair[k] for pair in found]) for k in (0, 1))
        return {_FILE: save({"mean": mean, "deviation": deviation})}


def predict_library_spread(
    model: FinalModel, candidates: Candidates, monitor: StageMonitor, spread: Spread | None
) -> tuple[np.ndarray, np.ndarray]:
    """As `FinalModel.predict`, by workers where there are any and the library has several blocks."""
    pieces = model.pieces(candidates)
    if spread is None or len(pieces) < 2:
        return model.predict(candidates, monitor)
    tasks = _runs(pieces, spread.n_shards)

    def alive(done: int) -> None:
        monitor.progress(done, len(tasks), f"predicting, {done} of {len(tasks)} shards")

    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    alone = replace(model, judges={}, further={})  # what other models say is asked elsewhere
    for number, files in spread.compute(LibraryWork(alone), tasks, alive):
        read = read_arrays(files[_FILE])
        found[number] = (read["mean"], read["deviation"])
    return model.calibrated([found[number] for number in range(len(tasks))])


def _runs(pieces: Sequence[tuple[int, Candidates]], n: int) -> list[LibraryTask]:
    """Consecutive runs of blocks of about equal number, at most `n`."""
    cuts = np.unique(np.linspace(0, len(pieces), min(n, len(pieces)) + 1).round().astype(int))
    return [LibraryTask(pieces[a][0], tuple(piece for _, piece in pieces[a:b])) for a, b in pairwise(cuts)]
