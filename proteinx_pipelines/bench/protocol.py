"""One benchmark run: from a selection to predictions of test rows, with the stages of an experiment.

Models are written to a temporary folder and read back, as in the evaluate stage, then discarded.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.bench.evidence_files import evidence_of_flags
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Selection, Split, VariantTable

_DIGITS = 9


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of P test rows, each by a model not trained on it."""

    target: np.ndarray
    """float64 [P], measured."""
    prediction: np.ndarray
    """float64 [P], in the unit of `target`."""
    deviation: np.ndarray | None
    """float64 [P], standard deviation of each prediction, or None if the model has no uncertainty."""
    fold: np.ndarray
    """int64 [P]: fold that tests the row."""
    level: np.ndarray
    """float64 [P]: mean of the fold's training targets."""
    spread: np.ndarray
    """float64 [P]: standard deviation of the fold's training targets."""
    seconds: float
    dropped: Mapping[str, int]
    """Rows that the transform stage dropped or merged, by rule."""
    n_unused: int
    """Variants that no fold tests."""
    warnings: tuple[str, ...] = ()
    """Sentences about the structure and the alignment given."""
    mutant: tuple[str, ...] = ()
    """P names, in the numbering of the template."""

    @property
    def pooled(self) -> float:
        """Spearman over all P predictions, of targets standardised on each fold's training rows.

        The quantity that ProteinGym publishes. In raw units the folds' means also contribute, which changes the value
        by 0.09 in an assay of 165 variants.
        """
        return metrics.compute(
            "spearman", self._standardised(self.target), self._standardised(self.prediction)
        )

    @property
    def per_fold(self) -> np.ndarray:
        """Spearman of each fold, float64 [K]; NaN if the predictions do not vary."""
        standardised = self._standardised(self.prediction)
        chosen = [self.fold == fold for fold in np.unique(self.fold)]
        return np.array(
            [metrics.compute("spearman", self.target[rows], standardised[rows]) for rows in chosen]
        )

    @property
    def fold_mean(self) -> float:
        """Mean of `per_fold`; NaN if one of them is."""
        return float(np.mean(self.per_fold))

    @property
    def mse(self) -> float:
        """Mean squared error of targets standardised on each fold's training rows."""
        return float(np.mean(((self.target - self.prediction) / self.spread) ** 2))

    def _standardised(self, values: np.ndarray) -> np.ndarray:
        # Rounded: predictions that differ only in the last bit must count as ties.
        return np.asarray(np.round((values - self.level) / self.spread, _DIGITS))

    def coverage(self, z: float = 1.959964) -> float | None:
        """Fraction of targets within `z` deviations of their prediction; None without deviations."""
        if self.deviation is None:
            return None
        return float(np.mean(np.abs(self.target - self.prediction) <= z * self.deviation))


def run_protocol(selection: Selection, flags: ExperimentFlags, *, split_file: Path | None) -> OutOfFold:
    """Transform, embed, split, train and predict the test rows of each fold.

    Args:
        selection: the measured rows.
        flags: `transform.*` to `trainer.*`.
        split_file: the file of `split.path`.

    Raises:
        InputError: a stage refuses data or flags.
    """
    from proteinx_pipelines.evidence.gather import gather
    from proteinx_pipelines.stages.embedding.embed import embed_variants
    from proteinx_pipelines.stages.split.assign import assign_split
    from proteinx_pipelines.stages.transform.transform import transform_variants

    started = time.perf_counter()
    variants = transform_variants(selection, flags.transform)
    evidence = gather(evidence_of_flags(flags), variants.templates)
    embedding = embed_variants(variants, flags.embedding, StageMonitor(), evidence=evidence)
    split = assign_split(variants, flags.split, file=split_file, own=flags.ext.get("split"))
    found = _predict(variants, embedding, split, flags)
    rows = found.pop("row")
    return OutOfFold(
        **found,
        mutant=tuple(variants.column("mutant")[rows]),
        seconds=time.perf_counter() - started,
        dropped=variants.dropped,
        n_unused=variants.n_variants - len(found["target"]),
        warnings=() if evidence is None else tuple(evidence.info["warnings"]),
    )


def _predict(variants: VariantTable, embedding: Any, split: Split, flags: ExperimentFlags) -> dict[str, Any]:
    """Train on every fold, and predict its test rows."""
    from proteinx_pipelines.stages.train.export import load_model
    from proteinx_pipelines.stages.train.prior import DEFAULT, NONE, prior_of
    from proteinx_pipelines.stages.train.prior_evidence import with_prior
    from proteinx_pipelines.stages.train.train import train_models

    named = flags.model.prior if flags.model.prior not in (None, NONE, DEFAULT) else None
    prior = prior_of(flags.model.prior, None if named is None else Path(named))
    embedding = with_prior(embedding, prior, variants.templates)
    target = variants.column("target").astype(np.float64)
    pieces: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="proteinx-bench-", ignore_cleanup_errors=True) as scratch:
        directory = ExperimentDir(Path(scratch), "bench")
        training = train_models(
            variants, embedding, split, flags, directory=directory, monitor=StageMonitor()
        )
        for k, fold in enumerate(split.folds):
            model = load_model(training.model_dirs[k])
            pieces.append(
                {
                    "row": fold.test,
                    "target": target[fold.test],
                    "prediction": model.predict(embedding, fold.test),
                    "deviation": model.predict_deviation(embedding, fold.test),
                    "fold": np.full(len(fold.test), k),
                    "level": np.full(len(fold.test), float(np.mean(target[fold.train]))),
                    "spread": np.full(len(fold.test), float(np.std(target[fold.train])) or 1.0),
                }
            )
    return {name: _joined([piece[name] for piece in pieces]) for name in pieces[0]}


def _joined(arrays: list[np.ndarray | None]) -> np.ndarray | None:
    there = [values for values in arrays if values is not None]
    return np.concatenate(there) if len(there) == len(arrays) else None
