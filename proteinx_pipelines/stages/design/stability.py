"""Rank stability of proposals: the share of other models that have a proposal among their own best.

| kind | the other models |
|---|---|
| `folds` | the cross-validated ones |
| `seeds` | trained on all rows from other seeds; the members of an ensemble |
| `rows` | trained on the distinct rows of bootstrap samples |
| `precision` | the final model on vectors rounded to bfloat16 |

Models of other seeds and rows are fitted once with the final model and kept beside it, for tables of at most
`MOST_ROWS` and models that are no network. Residues have no precision to lose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.reading import READ_BY_MODEL
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, VariantTable
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.batch import POOL
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel, fit_final
from proteinx_pipelines.stages.train.export import FittedModel, load_model
from proteinx_pipelines.user_models import is_network

KINDS = ("folds", "seeds", "rows", "precision")
MOST_JUDGES = 5
"""Most models of a kind."""
MOST_ROWS = 6_000
"""Most labelled rows with which further models are fitted: seconds each."""
_REFITTED = 2
"""Models of other seeds, and of other rows."""
Score = Callable[[Embedding], np.ndarray]
"""Prediction of every row of an embedding, float64 [n]."""


def fit_judges(
    variants: VariantTable, embedding: Embedding, flags: ExperimentFlags, *, directory: ExperimentDir,
    monitor: StageMonitor,
) -> dict[str, FittedModel]:  # fmt: skip
    """Fit models of other seeds and other rows: `seeds_1`, `rows_1`, ... -> model; none where that takes too long."""
    labelled = np.flatnonzero(np.isfinite(variants.column("target").astype(np.float64)))
    if is_network(flags.model.name) or len(labelled) > MOST_ROWS:
        return {}
    train, found = flags.train.model_copy(update={"seeds": 1}), {}
    quiet = _Silent(monitor)
    if "train.seed" in READ_BY_MODEL.get(flags.model.name, ("train.seed",)) and flags.train.seeds == 1:
        for number in range(1, _REFITTED + 1):
            other = train.model_copy(update={"seed": (train.seed + number) % 2**32})
            found[f"seeds_{number}"] = fit_final(
                variants,
                embedding,
                flags.model_copy(update={"train": other}),
                directory=directory,
                monitor=quiet,
            )
    for number in range(1, _REFITTED + 1):
        random = np.random.default_rng([flags.design.seed, number])
        rows = np.unique(random.choice(labelled, len(labelled)))
        found[f"rows_{number}"] = fit_final(
            variants, embedding, flags.model_copy(update={"train": train}), directory=directory, monitor=quiet,
            rows=rows,
        )  # fmt: skip
    return found


class _Silent(StageMonitor):
    """Passes cancellation on; these models are no result of their own."""

    def __init__(self, inner: StageMonitor) -> None:
        self._inner = inner

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say what it is for."""
        self._inner.progress(done, total, ", ".join(filter(None, ("stability", note))))


def stability(
    predicted: Predicted, chosen: np.ndarray, model: FinalModel, flags: DesignFlags, folders: Sequence[Path]
) -> tuple[np.ndarray, dict[str, float | None]]:
    """Share of the other models that have each proposal among their own best `design.n`.

    Args:
        predicted: a library.
        chosen: int64 [k], the proposals.
        model: the final model.
        flags: `design.goal`, `design.n`.
        folders: of the cross-validated models.

    Returns:
        float64 [k] over all models, NaN if there are none; and the mean share of each of `KINDS`, None where it has no
        models.
    """
    value = utility(predicted.mean, flags.goal)
    best = np.argsort(-value, kind="stable")[: POOL * flags.n]
    pool = np.unique(np.concatenate([best, chosen]))
    embedding = model.embedded(predicted.candidates.take(pool))
    place = np.searchsorted(pool, chosen)
    votes = {
        kind: [_votes(score(embedding), len(chosen), flags)[place] for score in scores]
        for kind, scores in _judges(model, embedding, flags, folders).items()
    }
    every = [vote for found in votes.values() for vote in found]
    total = np.mean(every, axis=0) if every else np.full(len(chosen), np.nan)
    by_kind = {kind: float(np.mean(votes[kind])) if votes[kind] else None for kind in KINDS}
    return np.asarray(total, np.float64), by_kind


def _votes(values: np.ndarray, n: int, flags: DesignFlags) -> np.ndarray:
    found = np.zeros(len(values), bool)
    found[np.argsort(-utility(values, flags.goal), kind="stable")[:n]] = True
    return found


def _judges(
    model: FinalModel, embedding: Embedding, flags: DesignFlags, folders: Sequence[Path]
) -> Mapping[str, list[Score]]:
    found: dict[str, list[Score]] = {kind: [] for kind in KINDS}
    step = max(1, -(-len(folders) // MOST_JUDGES))
    found["folds"] = [partial(_predict, load_model(folder)) for folder in folders[::step]]
    for name, judge in model.judges.items():
        found[name.partition("_")[0]].append(partial(_predict, judge()))
    if flags.final == "rows":  # members of an ensemble over folds are no seeds
        found["seeds"] += [partial(_predict, member) for member in model.model.members()[:MOST_JUDGES]]
    if embedding.vectors is not None:
        found["precision"] = [lambda each: _predict(model.model, _rounded(each))]
    return found


def _predict(model: FittedModel, embedding: Embedding) -> np.ndarray:
    return model.predict(embedding, np.arange(embedding.n_variants))


def _rounded(embedding: Embedding) -> Embedding:
    """The embedding with vectors of eight significant bits, as bfloat16 has."""
    assert embedding.vectors is not None
    bits = np.ascontiguousarray(embedding.vectors, np.float32).view(np.uint32)
    rounded = ((bits + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)
    return replace(embedding, vectors=rounded)
