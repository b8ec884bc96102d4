"""Number of trials of a fault: a few in `make test`, the promised number in `make chaos`."""

import os
import random
import sys

import pytest

FULL = "CHAOS_FULL"
SEED = "CHAOS_SEED"
MESSAGES = "CHAOS_MESSAGES"
JOBS = "CHAOS_JOBS"


def how_often(few: int, promised: int) -> int:
    """The number of trials: `promised` where the environment has CHAOS_FULL."""
    return promised if os.environ.get(FULL) else few


def how_many(promised: int) -> int:
    """The number of messages of a long scenario: `promised`, or the one in CHAOS_MESSAGES."""
    return int(os.environ.get(MESSAGES) or promised)


def how_many_jobs(promised: int) -> int:
    """The number of jobs of a scenario with a Master: `promised`, or the one in CHAOS_JOBS."""
    return int(os.environ.get(JOBS) or promised)


def printed_seed(what: str) -> int:
    """A new seed, or the one in CHAOS_SEED; printed, so that pytest shows it beside a failure."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    sys.stdout.write(f"{what}: seed {seed}; again with {SEED}={seed}\n")
    return seed


waits_in_vain = pytest.mark.skipif(
    not how_often(0, 1), reason=f"with {FULL} only: it waits for what does not come"
)
"""A guard's twin on a whole node: a minute of waiting until it is certain that something got lost."""
