"""The promised shares of jobs that succeed: `make chaos SCENARIO=success_rate`, 2,000 mixed jobs; JOBS=20 for fewer.

Twice: without faults, and with every node restarted once (PYTEST="-k faults" or "-k restarted" for one of them).
"""

from collections import Counter
from fractions import Fraction

import pytest

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterProcess
from proteinx_pipelines_tests.chaos.success_campaign import (
    CANCELLED,
    EMPTY,
    ORDINARY,
    SuccessCampaign,
    judged,
    mixed_job,
)
from proteinx_pipelines_tests.chaos.trials import how_many_jobs, how_often, printed_seed

JOBS = how_many_jobs(2000)
SUCCEEDED = ("SUCCEEDED", None)
FIRST_WITHIN_S = 30.0
"""Seconds after which the first job of a new node has ended, as promised."""
WITHOUT_FAULTS, WITH_RESTARTS = Fraction(999, 1000), Fraction(99, 100)


@pytest.mark.parametrize(("lost", "passes"), [(0, True), (1, True), (2, False)])
def test_two_of_a_thousand_are_more_than_is_promised(lost: int, passes: bool) -> None:
    jobs = {f"job-{k}": ORDINARY for k in range(1000)}
    found = dict.fromkeys(list(jobs)[lost:], SUCCEEDED)
    verdict = judged(jobs, found, Counter(found.keys()))
    assert (verdict.succeeded, len(verdict.wrong)) == (1000 - lost, lost)
    assert (verdict.problems(WITHOUT_FAULTS) == []) == passes
    assert verdict.problems(WITH_RESTARTS) == []


@pytest.mark.parametrize(
    ("end", "times"),
    [
        (("FAILED", "worker_lost"), 1),
        (("CANCELLED", None), 1),
        (("RUNNING", None), 0),
        (SUCCEEDED, 2),
        (SUCCEEDED, 0),
    ],
)
def test_a_job_succeeds_once_or_not_at_all(end: tuple[str, str | None], times: int) -> None:
    verdict = judged({"a": ORDINARY, "b": ORDINARY}, {"a": SUCCEEDED, "b": end}, {"a": 1, "b": times})
    assert verdict.rate == Fraction(1, 2)
    assert verdict.problems(WITH_RESTARTS)


def test_what_is_meant_to_fail_or_cancelled_is_counted_apart_and_has_to_end_so() -> None:
    jobs = {"a": ORDINARY, "b": EMPTY, "c": CANCELLED}
    right = {"a": SUCCEEDED, "b": ("FAILED", "empty_selection"), "c": SUCCEEDED}
    once = Counter(jobs.keys())
    verdict = judged(jobs, right, once)
    assert (verdict.ordinary, verdict.rate, dict(verdict.apart)) == (
        1,
        1,
        {"meant to fail": 1, "cancelled": 1},
    )
    assert verdict.problems(WITHOUT_FAULTS) == []
    for job, end in (("b", SUCCEEDED), ("b", ("FAILED", "internal")), ("c", ("FAILED", "internal"))):
        assert judged(jobs, {**right, job: end}, once).problems(WITH_RESTARTS)
    assert judged(jobs, {**right, "d": SUCCEEDED}, once).problems(WITH_RESTARTS) == ["unknown job d"]


def test_jobs_are_mixed_and_no_two_have_the_same_stages() -> None:
    made = [mixed_job(k) for k in range(400)]
    for flags, _ in made:
        parse_flags(flags)  # a Master takes all of them: that of number 27 was refused when it was sent
    assert Counter(want.kind for _, want in made)["ordinary"] == 360
    ordinary = [flags for flags, want in made if want is ORDINARY]
    assert len({flags["model"]["name"] for flags in ordinary}) == 6
    assert len({flags["split"]["method"] for flags in ordinary}) == 6
    assert len({str(flags["data"]) for flags in ordinary}) == len(ordinary)


@pytest.mark.story
@pytest.mark.skipif(not how_often(0, 1), reason="with CHAOS_FULL only: 2,000 jobs take up to an hour")
@pytest.mark.parametrize(
    ("restarts", "promised"),
    [(False, WITHOUT_FAULTS), (True, WITH_RESTARTS)],
    ids=["without faults", "every node restarted"],
)
def test_of_many_mixed_jobs_as_many_succeed_as_is_promised(
    master: MasterProcess, nodes: list[JoinedNode], restarts: bool, promised: Fraction
) -> None:
    campaign = SuccessCampaign(
        master=master, nodes=nodes, jobs=JOBS, seed=printed_seed("success rate"), restarts=restarts
    )
    verdict = campaign.run(180.0 + 1.5 * JOBS)
    assert verdict.problems(promised) == []
    assert campaign.restarted == ([node.name for node in nodes] if restarts else [])
    assert verdict.ordinary >= 0.9 * JOBS
    assert campaign.first_s is not None
    assert campaign.first_s < FIRST_WITHIN_S
