"""Which model predicts which row, and the table that is kept."""

import numpy as np
import pytest

from proteinx_pipelines.stages.evaluate import predict
from proteinx_pipelines.stages.evaluate.predict import predict_parts, predictions_table


class RowNumber:
    """A model that predicts the row's number plus a hundred times its fold."""

    def __init__(self, fold):
        self.fold = fold

    def predict(self, embedding, rows):
        return rows + 100.0 * self.fold

    def predict_deviation(self, embedding, rows):
        return None


def quiet(done, total):
    """Nobody listens."""


def parts_of(experiment):
    return predict_parts(RowNumber, experiment.embedding, experiment.split, progress=quiet)


def test_a_single_split_predicts_every_row_once(make_experiment):
    experiment = make_experiment(30, val=5, leave_out=3)
    parts = parts_of(experiment)
    assert {part: len(found) for part, found in parts.items()} == {
        "train": 13,
        "val": 5,
        "test": 9,
        "none": 3,
    }
    table = predictions_table(experiment.variants, parts, folds=False).to_pydict()
    assert table["prediction"] == [float(row) for row in range(30)]
    assert table["part"] == ["train"] * 13 + ["val"] * 5 + ["test"] * 9 + ["none"] * 3
    assert set(table["fold"]) == {0}
    assert table["id"] == experiment.variants.column("id").tolist()
    assert table["target"] == experiment.variants.column("target").tolist()


def test_with_folds_each_row_is_predicted_by_the_model_that_did_not_see_it(make_experiment):
    experiment = make_experiment(30, folds=3)
    table = predictions_table(experiment.variants, parts_of(experiment), folds=True).to_pydict()
    assert table["fold"] == [row % 3 for row in range(30)]
    assert table["prediction"] == [row + 100.0 * (row % 3) for row in range(30)]
    assert set(table["part"]) == {"test"}


def test_with_folds_a_row_that_no_fold_tests_has_no_prediction(make_experiment):
    experiment = make_experiment(30, folds=3, leave_out=2)
    table = predictions_table(experiment.variants, parts_of(experiment), folds=True).to_pydict()
    assert len(table["id"]) == 30
    assert table["part"][-2:] == ["none", "none"]
    assert table["prediction"][-2:] == table["fold"][-2:] == [None, None]
    assert None not in table["prediction"][:-2]


def test_a_chunked_prediction_is_the_same(make_experiment, monkeypatch):
    experiment = make_experiment(600)
    whole = parts_of(experiment)["train"].prediction
    monkeypatch.setattr(predict, "_NUMBERS_PER_CHUNK", 1)
    np.testing.assert_array_equal(parts_of(experiment)["train"].prediction, whole)


def test_progress_ends_at_the_whole(make_experiment):
    heard = []
    experiment = make_experiment(30, folds=3)
    predict_parts(
        RowNumber,
        experiment.embedding,
        experiment.split,
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard[-1] == (90, 90)
    assert heard == sorted(heard)


def test_each_model_is_loaded_once(make_experiment):
    loaded = []
    experiment = make_experiment(30, folds=3)

    def load(fold):
        loaded.append(fold)
        return RowNumber(fold)

    predict_parts(load, experiment.embedding, experiment.split, progress=quiet)
    assert loaded == [0, 1, 2]


@pytest.mark.parametrize("folds", [None, 3])
def test_columns_and_types_are_those_promised(make_experiment, folds):
    experiment = make_experiment(30, folds=folds)
    table = predictions_table(experiment.variants, parts_of(experiment), folds=bool(folds))
    assert table.column_names == ["id", "mutant", "target", "prediction", "fold", "part"]
    assert [str(table.schema.field(name).type) for name in ("target", "prediction", "fold")] == [
        "double",
        "double",
        "int32",
    ]
