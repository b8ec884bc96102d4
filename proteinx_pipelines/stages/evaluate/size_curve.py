"""Learning curve against training-set size: the same model on a fraction of its training rows.

Every point retrains, so the curve is optional (`evaluate.train_fractions`), and flags refuse it for models with
epochs. Larger fractions contain the smaller ones of the same draw; validation and test rows do not change.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Split, VariantTable
from proteinx_pipelines.stages.evaluate import passes
from proteinx_pipelines.stages.evaluate.predict import Predictions, predict_parts

DRAWS = 3
"""Random draws per size; their spread shows how much the choice of rows matters."""
MIN_ROWS = 2


def size_curve(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    flags: ExperimentFlags,
    monitor: StageMonitor,
    *,
    in_target_units: bool,
) -> list[dict[str, Any]]:
    """Train on `evaluate.train_fractions` of each fold's training rows, and score the same test rows.

    Returns:
        One entry per fraction and draw: `fraction`, `draw`, `n_train` (mean over folds) and every metric, pooled
        in each pass and averaged, as that of the whole model is.
    """
    fractions = sorted(flags.evaluate.train_fractions)
    target = variants.column("target").astype(np.float64)
    entries = []
    quiet = flags.model_copy(update={"train": flags.train.model_copy(update={"export_pt": False})})
    for fraction, draw, smaller in _smaller_splits(split, fractions, flags.evaluate.seed):
        test = _retrained(variants, embedding, smaller, quiet, monitor)
        by_pass = passes.passes_of(test, smaller)
        found = passes.score_passes(flags.evaluate.metrics, target, by_pass, in_target_units=in_target_units)
        n_train = float(np.mean([len(fold.train) for fold in smaller.folds]))
        entries.append(
            {"fraction": fraction, "draw": draw, "n_train": n_train, **passes.mean_of_passes(found)}
        )
        monitor.progress(0.9 + 0.05 * len(entries) / (DRAWS * len(fractions)), 1, "learning curve")
    return entries


def _smaller_splits(
    split: Split, fractions: Sequence[float], seed: int
) -> Iterator[tuple[float, int, Split]]:
    for draw in range(DRAWS):
        random = np.random.default_rng([seed, draw])
        orders = [random.permutation(fold.train) for fold in split.folds]
        for fraction in fractions:
            folds = [
                replace(fold, train=np.sort(order[: max(MIN_ROWS, round(fraction * len(order)))]))
                for fold, order in zip(split.folds, orders, strict=True)
            ]
            yield fraction, draw, replace(split, folds=folds)


def _retrained(
    variants: VariantTable, embedding: Embedding, split: Split, flags: ExperimentFlags, monitor: StageMonitor
) -> Predictions:
    """Test predictions of models trained in a temporary folder, without logging."""
    from proteinx_pipelines.stages.train.export import load_model
    from proteinx_pipelines.stages.train.train import train_models

    with tempfile.TemporaryDirectory(prefix="proteinx-curve-") as folder:
        directory = ExperimentDir(Path(folder), "curve")
        training = train_models(
            variants, embedding, split, flags, directory=directory, monitor=StageMonitor()
        )
        return predict_parts(
            lambda fold: load_model(training.model_dirs[fold]),
            embedding,
            split,
            progress=lambda _done, _total: monitor.progress(0.9, 1, "learning curve"),
            parts=("test",),
        )["test"]
