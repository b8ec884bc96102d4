"""Interface of a model: input and output of fitting one fold.

Test targets are NaN in `FitTask.targets`, so a model never receives them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.positions import Sites
from proteinx_pipelines.records import Embedding, Fold
from proteinx_pipelines.stages.train.replicate_noise import RowNoise


class Predictor(Protocol):
    """Trained part of a model. Works in scaled units; `FittedModel` converts them to the target's."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]), float64 [n]."""

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """Standard deviation of each prediction, float64 [n], or None if the model has no uncertainty."""

    def settings(self) -> dict[str, Any]:
        """Settings for `model.json` that rebuild the model, plain JSON."""

    def tensors(self) -> dict[str, np.ndarray]:
        """Content of `model.safetensors`."""


@runtime_checkable
class PredictsBoth(Protocol):
    """A predictor that gives mean and deviation together faster than one after the other."""

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """What `mean` and `deviation` give, to the same bits."""


@runtime_checkable
class TypicalPredictor(Protocol):
    """A predictor that may know how large its deviations are, so that those of two fits can be compared."""

    def typical_deviation(self) -> float | None:
        """Mean deviation of a training row left out, scaled; None if it is not known."""


@runtime_checkable
class BoundsDeviation(Protocol):
    """A predictor that bounds its deviations without computing them."""

    def deviation_bounds(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bound of each deviation, float64 [n], scaled."""


@runtime_checkable
class JointPredictor(Protocol):
    """A predictor that may know how the errors of its predictions go together."""

    @property
    def is_joint(self) -> bool:
        """True if it does; otherwise nothing below may be called."""

    @property
    def draws_any_number(self) -> bool:
        """True if its structure allows joint draws of more rows than have a covariance matrix."""

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance of the function at rows (int64 [m]), float64 [m, m], scaled."""

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Joint draws of the function, n of them, each float64 [m], scaled; None if there are none for so many rows."""


class FoldMonitor(StageMonitor):
    """Monitor of one fold: progress is scaled to the whole stage, metrics carry the fold's number."""

    def __init__(self, stage: StageMonitor, fold: int, n_folds: int) -> None:
        self._stage = stage
        self._position = fold
        self._n_folds = n_folds
        self.fold = fold if n_folds > 1 else None
        """Number of the fold, None for a single split."""

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Report progress within the fold.

        Raises:
            Stopped: the experiment must end; do not catch it.
        """
        fraction = min(1.0, done / total) if total > 0 else 0.0
        where = f"fold {self._position + 1}/{self._n_folds}" if self.fold is not None else ""
        self._stage.progress(self._position + fraction, self._n_folds, ", ".join(filter(None, (where, note))))

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass a metric on with the fold's number."""
        self._stage.metric(name, value, step=step, epoch=epoch, fold=self.fold if fold is None else fold)

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass a histogram on with the fold's number."""
        self._stage.histogram(name, counts, edges, step=step, fold=self.fold if fold is None else fold)

    def event(self, name: str, **payload: Any) -> None:
        """Pass an event on with the fold's number."""
        self._stage.event(name, **({} if self.fold is None else {"fold": self.fold}), **payload)


class MemberMonitor(FoldMonitor):
    """Monitor of one seed of a fold: metrics and histograms are those of the first, so that a curve has one value."""

    def __init__(self, fold: FoldMonitor, member: int, n_members: int) -> None:
        self._fold_monitor, self._member, self._n_members = fold, member, n_members
        self.fold = fold.fold

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Report progress within the fold."""
        fraction = min(1.0, done / total) if total > 0 else 0.0
        words = f"seed {self._member + 1}/{self._n_members}"
        self._fold_monitor.progress(
            self._member + fraction, self._n_members, ", ".join(filter(None, (words, note)))
        )

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass the first seed's metrics on."""
        if self._member == 0:
            self._fold_monitor.metric(name, value, step=step, epoch=epoch, fold=fold)

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass the first seed's histograms on."""
        if self._member == 0:
            self._fold_monitor.histogram(name, counts, edges, step=step, fold=fold)

    def event(self, name: str, **payload: Any) -> None:
        """Pass an event on with the seed's number."""
        self._fold_monitor.event(name, seed_number=self._member, **payload)


@dataclass(frozen=True)
class FitTask:
    """One fold to be fitted."""

    embedding: Embedding
    targets: np.ndarray
    """float64 [N], scaled; NaN outside the training and validation rows."""
    fold: Fold
    sites: Sites
    """Changed residues of the N rows."""
    flags: ExperimentFlags
    seed: int
    """Seed of this fold, drawn from `train.seed` and the fold's number."""
    directory: ExperimentDir
    monitor: FoldMonitor
    noise: RowNoise | None = None
    """Noise of the N rows in scaled units, where it is known from standard errors or replicates."""
    further: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Further property -> float64 [N], mean 0 and deviation 1, NaN where it is missing or not to be seen; empty unless
    several properties are learned (`further_values`)."""
    templates: tuple[str, ...] = ()
    """Template sequences of the variants' sources, in alphabetical order."""
    checkpoint: Path | None = None
    """Checkpoint to continue from (models that train in epochs)."""
    member: int = 0
    """Number within `train.seeds`."""
    part: int = 0
    """Number within `train.parts`."""

    @property
    def fold_name(self) -> str:
        """`fold_<k>`, or empty for a single split; `seed_<m>`, `part_<p>` for further ones: part of folder names."""
        fold = [] if self.monitor.fold is None else [f"fold_{self.monitor.fold}"]
        seed = [f"seed_{self.member}"] if self.member else []
        return "/".join([*fold, *seed, *([f"part_{self.part}"] if self.part else [])])


@dataclass(frozen=True)
class Fit:
    """A fitted model and facts about its fit (plain JSON, no times)."""

    predictor: Predictor
    info: Mapping[str, Any] = field(default_factory=dict)
