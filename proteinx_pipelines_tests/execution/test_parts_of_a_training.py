"""A training by parts (`train.parts`) as the stage runs it: the same each time, one network, not that of all rows."""

import pytest

from proteinx_pipelines.settings import Settings
from proteinx_pipelines_tests.execution.test_folds_are_kept import fitted_by, flags_of, left_behind


@pytest.mark.slow
def test_a_network_of_parts_is_one_network_and_differs_from_that_of_all_rows(settings: Settings) -> None:
    train = {"max_epochs": 2, "patience": None, "parts": 2}
    flags = {"split": {"method": "random"}, "run": {"resume": False}}
    fitted_by(settings, "parts", flags_of("mlp", train=train, **flags))
    fitted_by(settings, "again", flags_of("mlp", train=train, **flags))
    fitted_by(settings, "one", flags_of("mlp", train={**train, "parts": 1}, **flags))
    found = left_behind(settings, "parts")
    assert found == left_behind(settings, "again")
    one = left_behind(settings, "one")
    assert found.keys() == one.keys()
    name = "artifacts/model/fold_0/model.safetensors"
    assert len(found[name]) == len(one[name])
    assert found[name] != one[name]
