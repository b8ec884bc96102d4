"""When a campaign is advised to stop, and that a broken promise is said."""

import pytest

from proteinx_pipelines.campaign.stopping import advice


def judged(found: int, expected: float | None, deviation: float = 0.5) -> dict:
    return {
        "round": 1, "n": 20, "best_before": 1.0, "best_now": 1.0 + found, "best_mutant": "A1C" if found else None,
        "best": {"found": found, "expected": expected, "deviation": deviation},
    }  # fmt: skip


def coming(expected: float | None) -> dict:
    return {"n_proposed": 20, "expected_better_than_best": expected, "expected_better_than_wild_type": 3.0}


@pytest.mark.parametrize(
    ("found", "expected", "stop"), [(0, 0.2, True), (0, 2.0, False), (2, 0.2, False), (2, 2.0, False)]
)
def test_stopping_needs_both_an_empty_plate_and_an_empty_promise(found, expected, stop):
    assert advice([judged(found, 1.0)], coming(expected)).stop == stop


def test_a_broken_promise_is_said_and_a_kept_one_is_not_doubted():
    assert "with the same doubt" in " ".join(advice([judged(6, 0.1)], coming(1.0)).reasons)
    assert "with the same doubt" not in " ".join(advice([judged(1, 1.2)], coming(1.0)).reasons)


def test_without_a_next_plate_or_deviations_there_is_no_verdict():
    assert not advice([], None).stop
    assert "not proposed yet" in advice([judged(0, 1.0)], None).headline
    assert "no expectations" in advice([judged(0, None)], coming(None)).headline
