"""Training by data: one network a part, and the mean of their weights."""

import numpy as np
import pytest

from proteinx_pipelines.errors import EmptySplit, FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.train.averaging import averaged, part_of
from proteinx_pipelines.stages.train.task import Fit


def fold_of(n: int) -> Fold:
    rows = np.arange(n)
    return Fold(rows, np.zeros(0, int), np.zeros(0, int))


def test_parts_are_disjoint_cover_all_rows_and_are_about_equal() -> None:
    parts = [part_of(fold_of(103), part, 4, seed=7).train for part in range(4)]
    assert sorted(np.concatenate(parts)) == list(range(103))
    assert {len(part) for part in parts} == {25, 26}
    assert all(np.array_equal(part, np.sort(part)) for part in parts)
    assert list(part_of(fold_of(5), 0, 1, seed=7).train) == [0, 1, 2, 3, 4]
    with pytest.raises(EmptySplit, match="2 or fewer parts"):
        part_of(fold_of(5), 0, 3, seed=7)


class Weights:
    """Stands for a trained network: a mapping of tensors."""

    def __init__(self, value: float) -> None:
        self.value = value

    def tensors(self) -> dict[str, np.ndarray]:
        return {
            "layers.0.weight": np.full((7, 1), self.value, np.float32), "layers.0.bias": np.zeros(7, np.float32),
            "layers.3.weight": np.ones((1, 7), np.float32), "layers.3.bias": np.zeros(1, np.float32),
        }  # fmt: skip

    def settings(self) -> dict[str, object]:
        return {"width": 1, "hidden_dims": [7], "activation": "relu", "dropout": 0.0}


def test_each_part_counts_by_its_rows() -> None:
    fits = [Fit(Weights(1.0), {"epochs": 3}), Fit(Weights(4.0), {"epochs": 5})]  # type: ignore[arg-type]
    found = averaged("mlp", fits, [200, 100])
    assert found.predictor.tensors()["layers.0.weight"] == pytest.approx(2.0)
    assert [part["epochs"] for part in found.info["parts"]] == [3, 5]
    assert [part["n_train"] for part in found.info["parts"]] == [200, 100]


def test_a_checkpoint_is_of_one_part() -> None:
    with pytest.raises(FlagError, match="`parts` is 2"):
        parse_flags({"data.source": "s", "train.parts": 2, "train.ckpt_path": "a.ckpt"})
