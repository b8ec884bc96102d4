"""Learning curve against training-set size: the same model on a fraction of its training rows.

Every point retrains, so the curve is optional (`evaluate.train_fractions`), and flags refuse it for models with
epochs. Larger fractions contain the smaller ones of the same draw; validation and test rows do not change.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.experiment_dir.arrays import read_arrays
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Split, VariantTable
from proteinx_pipelines.spreading import Files, Spread, refuse_unwanted
from proteinx_pipelines.stages.evaluate import passes
from proteinx_pipelines.stages.evaluate.predict import Predictions, predict_parts

DRAWS = 3
"""Random draws per size; their spread shows how much the choice of rows matters."""
MIN_ROWS = 2
_FILE = "predictions.safetensors"


def size_curve(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    flags: ExperimentFlags,
    monitor: StageMonitor,
    *,
    in_target_units: bool,
    spread: Spread | None = None,
) -> list[dict[str, Any]]:
    """Train on `evaluate.train_fractions` of each fold's training rows, and score the same test rows.

    Returns:
        One entry per fraction and draw: `fraction`, `draw`, `n_train` (mean over folds) and every metric, pooled
        in each pass and averaged, as that of the whole model is.
    """
    fractions = sorted(flags.evaluate.train_fractions)
    target = variants.column("target").astype(np.float64)
    quiet = flags.model_copy(update={"train": flags.train.model_copy(update={"export_pt": False})})
    points = [Point(fraction, draw) for draw in range(DRAWS) for fraction in fractions]
    work = CurveWork(variants, embedding, split, quiet)

    def alive(done: int) -> None:
        monitor.progress(0.9 + 0.05 * done / len(points), 1, "learning curve")

    entries: dict[int, dict[str, Any]] = {}
    for number, test in _predicted(work, points, spread, alive):
        smaller = work.smaller(points[number])
        found = passes.score_passes(
            flags.evaluate.metrics, target, passes.passes_of(test, smaller), in_target_units=in_target_units
        )
        n_train = float(np.mean([len(fold.train) for fold in smaller.folds]))
        entries[number] = {
            "fraction": points[number].fraction, "draw": points[number].draw, "n_train": n_train,
            **passes.mean_of_passes(found),
        }  # fmt: skip
        alive(len(entries))
    return [entries[number] for number in range(len(points))]


@dataclass(frozen=True)
class Point:
    """One point of the curve."""

    fraction: float
    draw: int


@dataclass(frozen=True)
class CurveWork:
    """Trains and predicts the points of one curve."""

    variants: VariantTable
    embedding: Embedding
    split: Split
    flags: ExperimentFlags
    kind = "size_curve"
    n_threads = None
    passing = ()

    def label(self, task: Point) -> Mapping[str, Any]:
        """Fraction and draw."""
        return {"fraction": task.fraction, "draw": task.draw}

    def __call__(self, task: Point) -> Files:
        """Predict one point in a worker."""
        from safetensors.numpy import save

        found = self.predictions(task, refuse_unwanted)
        columns = {"rows": found.rows, "fold": found.fold, "prediction": found.prediction}
        if found.deviation is not None:
            columns["deviation"] = found.deviation
        return {_FILE: save({name: np.ascontiguousarray(values) for name, values in columns.items()})}

    def smaller(self, task: Point) -> Split:
        """The split with fewer training rows; larger fractions of a draw contain the smaller ones."""
        random = np.random.default_rng([self.flags.evaluate.seed, task.draw])
        orders = [random.permutation(fold.train) for fold in self.split.folds]
        folds = [
            replace(fold, train=np.sort(order[: max(MIN_ROWS, round(task.fraction * len(order)))]))
            for fold, order in zip(self.split.folds, orders, strict=True)
        ]
        return replace(self.split, folds=folds)

    def predictions(self, task: Point, alive: Callable[[], None]) -> Predictions:
        """Test predictions of models trained in a temporary folder, without logging."""
        from proteinx_pipelines.stages.train.export import load_model
        from proteinx_pipelines.stages.train.train import train_models

        split = self.smaller(task)
        with tempfile.TemporaryDirectory(prefix="proteinx-curve-") as folder:
            training = train_models(
                self.variants, self.embedding, split, self.flags,
                directory=ExperimentDir(Path(folder), "curve"), monitor=StageMonitor(), probabilities=False,
            )  # fmt: skip
            return predict_parts(
                lambda fold: load_model(training.model_dirs[fold]),
                self.embedding,
                split,
                progress=lambda _done, _total: alive(),
                parts=("test",),
            )["test"]


def _predicted(
    work: CurveWork, points: Sequence[Point], spread: Spread | None, alive: Callable[[int], None]
) -> Iterator[tuple[int, Predictions]]:
    if spread is None or len(points) < 2:
        for number, point in enumerate(points):
            yield number, work.predictions(point, partial(alive, number))
        return
    for number, files in spread.compute(work, points, alive):
        found = read_arrays(files[_FILE])
        yield number, Predictions(found["rows"], found["fold"], found["prediction"], found.get("deviation"))
