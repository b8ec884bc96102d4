"""Predictions of each fold's model, part by part, and the table of predictions.

With one split every row is predicted once, rows in no part included. With folds, each fold's model predicts its own
train, validation and test rows; scores use the test part pooled over folds ("out of fold"), where no row was in the
training set of the model that predicts it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from proteinx_pipelines.numbering import for_people
from proteinx_pipelines.records import Embedding, Split, VariantTable

PARTS = ("train", "val", "test")
NO_PART = "none"
"""Part of a row that the split leaves out."""

_NUMBERS_PER_CHUNK = 1 << 24
"""Entries of the dense block that one call may need (64 MiB of float32)."""


class Predictor(Protocol):
    """Interface of a model returned by `stages.train.load_model`."""

    def predict(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """float64 [n] in the target's unit, for int64 [n] rows of the embedding."""

    def predict_deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray | None:
        """float64 [n], the standard deviation of each prediction; None if the model has none."""


class HasClasses(Protocol):
    """A model of classes: a map from its predictions to their probabilities."""

    def probabilities(self, predictions: np.ndarray) -> np.ndarray:
        """float64 [n, K]."""


@dataclass(frozen=True)
class Predictions:
    """P predictions, each of one row by the model of one fold."""

    rows: np.ndarray
    """int64 [P]: row of the variant table."""
    fold: np.ndarray
    """int32 [P]."""
    prediction: np.ndarray
    """float64 [P], in the target's unit."""
    deviation: np.ndarray | None = None
    """float64 [P], the model's own standard deviation of each prediction; None where it has none."""
    probability: np.ndarray | None = None
    """float64 [P, K], of being at or above each of K thresholds; None where targets are scores."""

    def __len__(self) -> int:
        return len(self.rows)

    def of_fold(self, fold: int) -> "Predictions":
        """The predictions of one fold's model."""
        return self.chosen(self.fold == fold)

    def chosen(self, which: np.ndarray) -> "Predictions":
        """Some of the predictions: bool [P]."""
        deviation, probability = (
            None if each is None else each[which] for each in (self.deviation, self.probability)
        )
        return Predictions(self.rows[which], self.fold[which], self.prediction[which], deviation, probability)


def predict_parts(
    load: Callable[[int], Predictor],
    embedding: Embedding,
    split: Split,
    progress: Callable[[int, int], None],
    parts: Sequence[str] = (*PARTS, NO_PART),
) -> dict[str, Predictions]:
    """Predict every part with the model of its fold.

    Args:
        load: fold -> its model; called once per fold.
        embedding: of the N rows that the split refers to.
        split: one fold, or K.
        progress: called with (rows done, rows in all); its exceptions propagate.
        parts: parts to predict; the others are returned empty.

    Returns:
        `train`, `val`, `test` and `none` -> predictions in ascending order of row, then fold. `none` is empty
        for cross-validation: a row that no fold tests has no out-of-fold prediction.
    """
    wanted = [
        {part: rows for part, rows in _parts_of(split, fold).items() if part in parts}
        for fold in range(len(split.folds))
    ]
    total = sum(len(rows) for of_fold in wanted for rows in of_fold.values())
    found: dict[str, list[Predictions]] = {part: [] for part in (*PARTS, NO_PART)}
    done = 0
    for fold in range(len(split.folds)):
        model = load(fold)
        for part, rows in wanted[fold].items():
            values = _by_chunks(model.predict, embedding, rows)
            assert values is not None
            deviation = _by_chunks(model.predict_deviation, embedding, rows) if part == "test" else None
            classes: HasClasses | None = getattr(model, "classes", None)
            probability = None if classes is None else classes.probabilities(values)
            folds = np.full(len(rows), fold, np.int32)
            found[part].append(Predictions(rows, folds, values, deviation, probability))
            done += len(rows)
            progress(done, total)
    return {part: _joined(pieces) for part, pieces in found.items()}


def predictions_table(variants: VariantTable, parts: dict[str, Predictions], *, folds: bool) -> pa.Table:
    """Build the table of predictions, in ascending order of row, then fold.

    Args:
        variants: N rows.
        parts: of `predict_parts`.
        folds: True for cross-validation: the table has the test part, and rows that no fold tests without a prediction.

    Returns:
        Columns id, mutant (in the user's numbering, followed by `template_mutant` if that differs), target,
        prediction (float64, null if there is none), fold (int32), part; and `deviation` (float64, of test rows) if the
        model has one; `p_at_least_1`, ... (float64, of rows that are not trained on) if targets are classes.
    """
    kept = {"test": parts["test"]} if folds else parts
    rows = np.concatenate([piece.rows for piece in kept.values()])
    untested = np.setdiff1d(np.arange(variants.n_variants), rows)
    fold = np.concatenate([piece.fold for piece in kept.values()] + [np.full(len(untested), -1, np.int32)])
    values = np.concatenate([piece.prediction for piece in kept.values()] + [np.full(len(untested), np.nan)])
    part = np.repeat([*kept, NO_PART], [*(len(piece) for piece in kept.values()), len(untested)])
    rows = np.concatenate([rows, untested])
    order = np.lexsort((fold, rows))
    chosen = variants.rows.select(["id", "source", "mutant", "target"]).take(pa.array(rows[order]))
    chosen = for_people(chosen, variants.offsets).drop_columns(["source"])
    missing = (fold < 0)[order]
    table = (
        chosen.append_column("prediction", pa.array(values[order], pa.float64(), mask=missing))
        .append_column("fold", pa.array(fold[order], pa.int32(), mask=missing))
        .append_column("part", pa.array(part[order].tolist(), pa.string()))
    )
    if parts["test"].deviation is not None:
        deviation = np.concatenate(
            [_deviation_of(piece) for piece in kept.values()] + [np.full(len(untested), np.nan)]
        )
        table = table.append_column("deviation", pa.array(deviation[order], pa.float64(), from_pandas=True))
    if (probability := parts["test"].probability) is not None:
        k = probability.shape[1]
        pieces = [
            np.full((len(piece), k), np.nan)
            if part == "train" or piece.probability is None
            else piece.probability
            for part, piece in kept.items()
        ]
        every = np.concatenate([*pieces, np.full((len(untested), k), np.nan)])[order]
        for cut, column in enumerate(every.T, start=1):
            table = table.append_column(f"p_at_least_{cut}", pa.array(column, pa.float64(), from_pandas=True))
    return table.combine_chunks()


def _deviation_of(piece: Predictions) -> np.ndarray:
    return np.full(len(piece), np.nan) if piece.deviation is None else piece.deviation


def _parts_of(split: Split, fold: int) -> dict[str, np.ndarray]:
    chosen = split.folds[fold]
    parts = {part: np.sort(np.asarray(getattr(chosen, part), dtype=np.int64)) for part in PARTS}
    if not split.is_cross_validation:
        used = np.concatenate(list(parts.values()))
        parts[NO_PART] = np.setdiff1d(np.arange(len(split.ids)), used)
    return parts


def _by_chunks(
    predict: Callable[[Embedding, np.ndarray], np.ndarray | None], embedding: Embedding, rows: np.ndarray
) -> np.ndarray | None:
    """float64 [n], with a bounded block of dense vectors at a time; None where there is no such prediction."""
    at_once = max(256, _NUMBERS_PER_CHUNK // max(1, embedding.width))
    pieces = []
    for start in range(0, len(rows), at_once):
        piece = predict(embedding, rows[start : start + at_once])
        if piece is None:
            return None
        pieces.append(np.asarray(piece, dtype=np.float64))
    return np.concatenate(pieces) if pieces else np.zeros(0)


def _joined(pieces: Sequence[Predictions]) -> Predictions:
    if not pieces:
        return Predictions(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0))
    rows, fold = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("rows", "fold"))
    order = np.lexsort((fold, rows))
    prediction = np.concatenate([piece.prediction for piece in pieces])
    deviations = [piece.deviation for piece in pieces if piece.deviation is not None]
    deviation = np.concatenate(deviations)[order] if len(deviations) == len(pieces) else None
    probabilities = [piece.probability for piece in pieces if piece.probability is not None]
    probability = np.concatenate(probabilities)[order] if len(probabilities) == len(pieces) else None
    return Predictions(rows[order], fold[order], prediction[order], deviation, probability)
