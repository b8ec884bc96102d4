"""Positions as units of a bootstrap."""

import pytest

from proteinx_pipelines.flags.evaluate import IN_EACH_TAIL, EvaluateFlags, enough_resamples
from proteinx_pipelines.resampling.units import position_groups
from proteinx_pipelines.stages.evaluate.intervals import resamples_of


def test_variants_of_a_position_are_a_group_and_sources_are_apart():
    mutants = ["A1C", "A1D", "C2D", "C2D:D9E", "WT", "A1C", "D9E"]
    sources = ["one"] * 5 + ["other", "one"]
    found = position_groups(sources, mutants)
    assert found[0] == found[1]
    assert found[2] == found[3]  # of several mutations: the first
    assert len({found[0], found[2], found[4], found[5], found[6]}) == 5
    assert set(found) == set(range(5))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.995])
def test_enough_resamples_are_outside_of_the_interval(level):
    n = enough_resamples(level)
    assert n * (1 - level) / 2 == pytest.approx(IN_EACH_TAIL, abs=1)
    assert resamples_of(EvaluateFlags(ci=level)) == n


def test_a_number_that_was_asked_for_is_taken():
    assert resamples_of(EvaluateFlags(bootstrap=7)) == 7
    assert resamples_of(EvaluateFlags(bootstrap=0)) == 0
    assert resamples_of(EvaluateFlags()) == 800
