"""`model.tasks`: which models and data it fits, and what it leaves as it was."""

import pytest

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.model import MODELS
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reading import LEARN_JOINTLY
from proteinx_pipelines.flags.tree import without_silent
from proteinx_pipelines.pipeline.stages import STAGES

JOINT = {"data": {"source": "s", "properties": ["half"]}, "model": {"name": "gp", "tasks": "joint"}}


@pytest.mark.parametrize("name", [*MODELS, None])
def test_models_that_learn_one_property_are_refused_with_those_that_learn_several(name) -> None:
    model = {"tasks": "joint"} if name is None else {"name": name, "tasks": "joint"}
    if name in LEARN_JOINTLY:
        assert parse_flags({**JOINT, "model": model}).model.tasks == "joint"
        return
    with pytest.raises(FlagError, match=rf"`?model.tasks`?.*models of several: {', '.join(LEARN_JOINTLY)}"):
        parse_flags({**JOINT, "model": model})


@pytest.mark.parametrize(
    "data",
    [{}, {"properties": []}, {"properties": ["DMS_score"]}, {"properties": "half", "score": "half"}],
)
def test_properties_that_cannot_be_further_ones_are_refused(data) -> None:
    with pytest.raises(
        FlagError, match=r"needs properties beside the target; name them in `data\.properties`"
    ):
        parse_flags({**JOINT, "data": {"source": "s", **data}})


def test_a_loss_of_classes_is_refused() -> None:
    with pytest.raises(FlagError, match="'bce' is of classes"):
        parse_flags({**JOINT, "model": {"name": "mlp", "tasks": "joint"}, "train": {"loss": "bce"}})


def test_no_key_knows_the_flag_unless_it_is_set() -> None:
    """Results of before it existed are found again."""
    for stage in STAGES.values():
        for tree in ({"model": {"name": "gp"}}, {"model": {"name": "gp", "tasks": "single"}}):
            flags = parse_flags({**JOINT, **tree})
            assert "tasks" not in str(stage.document(flags))
            assert (
                "tasks" not in without_silent(flags.nested())["model"]
            )  # of the report, and its part of the key
    assert without_silent(parse_flags(JOINT).nested())["model"]["tasks"] == "joint"
    told = [name for name, stage in STAGES.items() if "joint" in str(stage.document(parse_flags(JOINT)))]
    assert told == ["transform", "train"]
