"""A stage's code version changes by hand, beside the function: here it is noticed when somebody forgot.

Stored results are taken over by key, and the key holds the version. Code that gives other results under the same
version would hand out old results as if they were its own.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines_tests.frozen import recorded
from proteinx_pipelines_tests.frozen.cases import FLAGS, TOLERANCES, Workplace, differences, output
from proteinx_pipelines_tests.frozen.inputs import write_checkpoint

STAGES = always_made()

CASES = [(stage, case) for stage in STAGES for case in FLAGS[stage]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    folder = tmp_path_factory.mktemp("weights")
    return cache(lambda: write_checkpoint(folder / "esm2_t6_8M_UR50D.pt"))


@pytest.mark.parametrize(("stage", "case"), CASES)
def test_a_stage_whose_output_changed_has_another_version(
    stage: str, case: str, tmp_path: Path, weights: Callable[[], Path]
) -> None:
    known = recorded.read(stage)
    version, constant = (
        COMPUTATIONS[stage].version,
        f"{stage.upper()}_VERSION in {COMPUTATIONS[stage].module}",
    )
    remedy = f"Record it: {recorded.COMMAND} {stage}"
    assert case in known["cases"], f"{stage}, {case!r} is not recorded. {remedy}"
    assert known["version"] == version, (
        f"{constant} is {version!r}, recorded is {known['version']!r}. {remedy}"
    )
    changed = list(
        differences(
            known["cases"][case], output(stage, case, Workplace(tmp_path, weights)), TOLERANCES[stage]
        )
    )
    assert not changed, (
        f"{stage} gives another output than version {version!r} did ({len(changed)} values; the first: {changed[0]}). "
        f"If that is meant, bump {constant}. {remedy}"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_recorded_that_nobody_watches(stage: str) -> None:
    assert set(recorded.read(stage)["cases"]) <= set(FLAGS[stage]), f"{recorded.COMMAND} {stage}"


@pytest.mark.parametrize(
    ("before", "after", "differ"),
    [
        ({"x": [1.0, 2.0]}, {"x": [1.0, 2.0000001]}, False),
        ({"x": [1.0, 2.0]}, {"x": [1.0, 2.1]}, True),
        ({"x": [1.0]}, {"x": [1.0, 2.0]}, True),
        ({"x": 1}, {"x": 1, "y": 2}, True),
        ({"x": None}, {"x": 0.0}, True),
        ({"x": 1}, {"x": True}, True),
        ("TTv", "TvT", True),
        ([1, 2], [1.0, 2.0], False),
    ],
)
def test_documents_are_compared_within_the_tolerance(before: object, after: object, differ: bool) -> None:
    assert bool(list(differences(before, after, (1e-6, 1e-6)))) is differ


def test_a_change_of_a_number_is_noticed_in_every_stage() -> None:
    """Each recorded document, one number off by a percent of its own size and more: never within the tolerance."""
    for stage in STAGES:
        for case, document in recorded.read(stage)["cases"].items():
            assert list(differences(document, _moved(document), TOLERANCES[stage])), (stage, case)


def _moved(value: object) -> object:
    if isinstance(value, dict):
        return {name: _moved(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_moved(item) for item in value]
    if isinstance(value, str):
        return value[::-1] + "x"
    if isinstance(value, bool) or value is None:
        return value
    return value + 1 if isinstance(value, int) else value * 1.05 + 0.05  # type: ignore[operator]
