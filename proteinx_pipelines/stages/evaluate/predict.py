"""What each fold's model says about the rows: part by part, and as the table that is kept.

With one split every row is predicted once, rows in no part included. With folds, each fold's model predicts
its own train, validation and test rows; what counts is the test part, put together over the folds
("pooled, out of fold"): no row there was seen by the model that predicted it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from proteinx_pipelines.records import Embedding, Split, VariantTable

PARTS = ("train", "val", "test")
NO_PART = "none"
"""Part of a row that the split leaves out."""

_NUMBERS_PER_CHUNK = 1 << 24
"""Entries of the dense block that one call may need (64 MiB of float32)."""


class Predictor(Protocol):
    """What `stages.train.load_model` gives back."""

    def predict(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """float64 [n] in the target's unit, for int64 [n] rows of the embedding."""


@dataclass(frozen=True)
class Predictions:
    """P predictions, each of one row by the model of one fold."""

    rows: np.ndarray
    """int64 [P]: row of the variant table."""
    fold: np.ndarray
    """int32 [P]."""
    prediction: np.ndarray
    """float64 [P], in the target's unit."""

    def __len__(self) -> int:
        return len(self.rows)

    def of_fold(self, fold: int) -> "Predictions":
        """The predictions of one fold's model."""
        chosen = self.fold == fold
        return Predictions(self.rows[chosen], self.fold[chosen], self.prediction[chosen])


def predict_parts(
    load: Callable[[int], Predictor],
    embedding: Embedding,
    split: Split,
    progress: Callable[[int, int], None],
) -> dict[str, Predictions]:
    """Predict every part with the model of its fold.

    Args:
        load: fold -> its model; called once per fold.
        embedding: of the N rows that the split refers to.
        split: one fold, or K.
        progress: called with (rows done, rows in all); what it raises passes through.

    Returns:
        `train`, `val`, `test` and `none` -> predictions in ascending order of row, then fold. `none` is empty
        for cross-validation: a row that no fold tests has no out-of-fold prediction.
    """
    total = sum(len(rows) for fold in range(len(split.folds)) for rows in _parts_of(split, fold).values())
    found: dict[str, list[Predictions]] = {part: [] for part in (*PARTS, NO_PART)}
    done = 0
    for fold in range(len(split.folds)):
        model = load(fold)
        for part, rows in _parts_of(split, fold).items():
            values = _predict(model, embedding, rows)
            found[part].append(Predictions(rows, np.full(len(rows), fold, np.int32), values))
            done += len(rows)
            progress(done, total)
    return {part: _joined(pieces) for part, pieces in found.items()}


def predictions_table(variants: VariantTable, parts: dict[str, Predictions], *, folds: bool) -> pa.Table:
    """The table that is kept, in ascending order of row, then fold.

    Args:
        variants: N rows.
        parts: of `predict_parts`.
        folds: cross-validation: keep the test part, and list rows that no fold tests without a prediction.

    Returns:
        Columns id, mutant, target, prediction (float64, null where there is none), fold (int32), part.
    """
    kept = {"test": parts["test"]} if folds else parts
    rows = np.concatenate([piece.rows for piece in kept.values()])
    untested = np.setdiff1d(np.arange(variants.n_variants), rows)
    fold = np.concatenate([piece.fold for piece in kept.values()] + [np.full(len(untested), -1, np.int32)])
    values = np.concatenate([piece.prediction for piece in kept.values()] + [np.full(len(untested), np.nan)])
    part = np.repeat([*kept, NO_PART], [*(len(piece) for piece in kept.values()), len(untested)])
    rows = np.concatenate([rows, untested])
    order = np.lexsort((fold, rows))
    chosen = variants.rows.select(["id", "mutant", "target"]).take(pa.array(rows[order]))
    missing = (fold < 0)[order]
    return (
        chosen.append_column("prediction", pa.array(values[order], pa.float64(), mask=missing))
        .append_column("fold", pa.array(fold[order], pa.int32(), mask=missing))
        .append_column("part", pa.array(part[order].tolist(), pa.string()))
        .combine_chunks()
    )


def _parts_of(split: Split, fold: int) -> dict[str, np.ndarray]:
    chosen = split.folds[fold]
    parts = {part: np.sort(np.asarray(getattr(chosen, part), dtype=np.int64)) for part in PARTS}
    if not split.is_cross_validation:
        used = np.concatenate(list(parts.values()))
        parts[NO_PART] = np.setdiff1d(np.arange(len(split.ids)), used)
    return parts


def _predict(model: Predictor, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    at_once = max(256, _NUMBERS_PER_CHUNK // max(1, embedding.width))
    pieces = [
        np.asarray(model.predict(embedding, rows[start : start + at_once]), dtype=np.float64)
        for start in range(0, len(rows), at_once)
    ]
    return np.concatenate(pieces) if pieces else np.zeros(0)


def _joined(pieces: Sequence[Predictions]) -> Predictions:
    if not pieces:
        return Predictions(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0))
    rows, fold = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("rows", "fold"))
    order = np.lexsort((fold, rows))
    prediction = np.concatenate([piece.prediction for piece in pieces])
    return Predictions(rows[order], fold[order], prediction[order])
