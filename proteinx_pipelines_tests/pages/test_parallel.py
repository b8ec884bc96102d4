"""Parallel coordinates: an axis for each flag that differs and one for the score, a line for each experiment."""

import re

import pytest

from proteinx_pipelines.pages.figures.parallel import parallel


def heights(drawing: str) -> list[list[float]]:
    """Heights at which each line crosses the axes."""
    return [
        [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", path)]
        for path in re.findall(r'class="thread"[^>]* d="([^"]+)"', drawing)
    ]


def test_numbers_stand_on_a_scale_and_texts_in_steps() -> None:
    flags = {"split.seed": [0, 5, 10], "model.name": ["ridge", "gp", "mlp"]}
    figure = parallel(["a", "b", "c"], flags, "spearman", [0.2, 0.3, 0.4])
    assert figure is not None
    a, b, c = heights(figure.drawing)
    assert b[0] == pytest.approx((a[0] + c[0]) / 2)
    assert b[2] == pytest.approx((a[2] + c[2]) / 2)
    assert a[0] > c[0]  # larger is higher, and heights count down
    assert len({a[1], b[1], c[1]}) == 3
    assert "a 0.200" in figure.alternative


def test_an_experiment_without_a_score_ends_before_the_last_axis() -> None:
    figure = parallel(["a", "b"], {"split.seed": [0, 1]}, "spearman", [0.2, None])
    assert figure is not None
    assert [len(line) for line in heights(figure.drawing)] == [2, 1]


def test_hostile_names_and_values_are_text() -> None:
    evil = "<img src=x onerror=alert(1)>"
    figure = parallel([evil, "b"], {evil: [evil, None]}, evil, [0.1, 0.2])
    assert figure is not None
    assert "<img" not in figure.svg()


@pytest.mark.parametrize(("names", "flags"), [(["a"], {"x": [1]}), (["a", "b"], {})])
def test_what_cannot_be_compared_is_not_drawn(names: list[str], flags: dict[str, list[int]]) -> None:
    assert parallel(names, flags, "spearman", [0.1] * len(names)) is None
