"""What is worth making: formulas against integrals, plates that hold their rules, intervals that hold their promise."""

import numpy as np
import pytest
from scipy import integrate, stats

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design.acquisition import acquire, p_better, utility
from proteinx_pipelines.stages.design.batch import choose, wells
from proteinx_pipelines.stages.design.candidates import candidates_of
from proteinx_pipelines.stages.design.intervals import Intervals, calibrate, calibrate_for


def flags(**values):
    return DesignFlags(library="singles", **values)


@pytest.mark.parametrize("goal", ["maximize", "minimize", 0.4, (0.2, 0.9)])
@pytest.mark.parametrize("kind", ["ei", "pi"])
def test_improvement_is_the_integral_over_the_prediction(goal, kind: str) -> None:
    mean, deviation, best = (
        np.array([0.3, -1.0, 2.0]),
        np.array([0.5, 1.0, 0.2]),
        float(utility(np.array([0.7]), goal)[0]),
    )
    found = acquire(mean, deviation, best, flags(goal=goal, acquisition=kind))
    for k in range(3):
        normal = stats.norm(mean[k], deviation[k])

        def gain(x: float, normal=normal) -> float:
            better = float(utility(np.array([x]), goal)[0]) - best
            return normal.pdf(x) * (max(better, 0.0) if kind == "ei" else float(better > 0))

        ends = mean[k] - 8 * deviation[k], mean[k] + 8 * deviation[k]
        expected = integrate.quad(gain, *ends, limit=400, points=[0.2, 0.4, 0.7, 0.9])[0]
        assert found[k] == pytest.approx(expected, abs=0.012)
    if kind == "pi" and best < 0:  # inside of the interval nothing is better, and as good is what is asked
        assert p_better(mean, deviation, best, goal) == pytest.approx(found, abs=0.012)


def test_ucb_adds_deviations_and_greedy_none() -> None:
    mean, deviation = np.array([1.0, 0.9]), np.array([0.0, 1.0])
    assert acquire(mean, deviation, 0, flags(acquisition="greedy")).argmax() == 0
    assert acquire(mean, deviation, 0, flags(acquisition="ucb", beta=1)).argmax() == 1
    assert acquire(-mean, deviation, 0, flags(acquisition="ucb", beta=1, goal="minimize")).argmax() == 1


def test_a_plate_takes_the_best_unless_diversity_or_a_limit_says_otherwise() -> None:
    candidates = candidates_of("s", "ACDEFG", ["A1C", "A1D", "A1E", "C2A", "D3A", "E4A"])
    worth = np.array([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    names = np.array(candidates.mutants())
    assert list(names[choose(candidates, worth, 1.0, flags(n=3, diversity=0))]) == ["A1C", "A1D", "A1E"]
    limited = choose(candidates, worth, 1.0, flags(n=4, diversity=0, most_per_position=1))
    assert list(names[limited]) == ["A1C", "C2A", "D3A", "E4A"]
    diverse = choose(candidates, worth, 6.0, flags(n=2, diversity=1.0))
    assert list(names[diverse]) == ["A1C", "C2A"]  # A1D shares the position: it costs half of 6


@pytest.mark.parametrize(
    ("n", "plate", "last"), [(96, 96, "H12"), (97, 96, "2-A1"), (384, 384, "P24"), (1, 96, "A1")]
)
def test_wells_are_named_as_on_the_plate(n: int, plate: int, last: str) -> None:
    names = wells(n, plate)
    assert names[-1] == last
    assert len(set(names)) == n


@pytest.mark.parametrize("own", [True, False])
def test_calibrated_intervals_hold_95_of_100_new_values(own: bool) -> None:
    random = np.random.default_rng(5)

    def draw(n: int):
        deviation = random.uniform(0.5, 2.0, n)
        return random.normal(size=n) * deviation * 1.7, np.zeros(n), deviation if own else None

    found = calibrate(*draw(4_000), "at random")
    measured, predicted, deviation = draw(20_000)
    raw = deviation if own else np.full(len(measured), np.nan)
    low, high = found.bounds(predicted, found.calibrated(raw))
    assert np.mean((low <= measured) & (measured <= high)) == pytest.approx(0.95, abs=0.01)
    assert found.factor == pytest.approx(1.7, rel=0.05) or not own
    assert Intervals.of(found.document()) == found


def test_without_held_out_rows_nothing_is_promised() -> None:
    found = calibrate(np.zeros(0), np.zeros(0), None, "none")
    assert found.n == 0
    assert np.isinf(found.calibrated(np.zeros(1))).all()


@pytest.mark.parametrize("knows", [True, False])
def test_a_fit_that_learned_less_noise_than_the_folds_keeps_the_promise(knows: bool) -> None:
    """Without typical deviations the factor of the folds leaves every twelfth value of the final model outside."""

    class Fitted:
        def __init__(self, typical: float) -> None:
            self.typical = typical

        def typical_deviation(self) -> float | None:
            return self.typical if knows else None

    random = np.random.default_rng(2)
    sizes = random.uniform(0.5, 2.0, 6_000)
    errors = random.normal(size=6_000) * sizes
    fold = np.arange(6_000) % 3
    folds, final = [Fitted(1.2), Fitted(1.0), Fitted(1.4)], Fitted(1.0)
    deviation = sizes * np.array([each.typical for each in folds])[fold]
    found = calibrate_for(final, errors, np.zeros(6_000), deviation, fold, folds, "at random")
    new = random.uniform(0.5, 2.0, 20_000)
    low, high = found.bounds(np.zeros(20_000), found.calibrated(new * final.typical))
    inside = np.mean((low <= (drawn := random.normal(size=20_000) * new)) & (drawn <= high))
    assert (abs(inside - 0.95) < 0.012) == knows
