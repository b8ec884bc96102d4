"""A fleet whose Master, Redis and PostgreSQL take the times that `sizing` has measured: the simulation behind it."""

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace

from fleet import Server, Simulation, Wait

from proteinx_pipelines.contract.heartbeat import BEAT_EVERY_S


@dataclass(frozen=True)
class Times:
    """Processor seconds."""

    master_job: float
    redis_job: float
    postgres_job: float
    master_beat: float
    """Of one heartbeat of one node."""


# ---------------------------------------------------------------- simulating
@dataclass(frozen=True)
class Fleet:
    nodes: int
    times: Times
    experiments_per_node: int = 20
    compute_s: float = 20.0
    """Median of an experiment's own work; spread as a lognormal."""
    compute_sigma: float = 1.0
    ahead_below_s: float = 20.0
    """A node has a job ahead while its last one took less."""
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    per_minute: float
    """Experiments a minute until nine in ten have ended."""
    master_busy: float
    redis_busy: float
    postgres_busy: float
    wait_p99_s: float
    """99th percentile of a node's wait for its next job."""


def simulate(fleet: Fleet) -> Outcome:
    """Half of a job's time in the Master is spent before a node has it, half when its result comes."""
    draw, world = random.Random(fleet.seed), Simulation()
    master, redis, postgres = Server(1), Server(1), Server(1)
    number = fleet.nodes * fleet.experiments_per_node
    line = deque(draw.lognormvariate(0, fleet.compute_sigma) * fleet.compute_s for _ in range(number))
    ended: list[float] = []
    waits: list[float] = []
    half = replace(fleet.times, master_job=fleet.times.master_job / 2, redis_job=fleet.times.redis_job / 2,
                   postgres_job=fleet.times.postgres_job / 2)  # fmt: skip

    def serve(times: Times) -> Generator[Wait, None, None]:
        yield master, draw.expovariate(1) * times.master_job
        yield postgres, draw.expovariate(1) * times.postgres_job
        yield redis, draw.expovariate(1) * times.redis_job

    def counted() -> Generator[Wait, None, None]:
        yield from serve(half)
        ended.append(world.now)

    def node() -> Generator[Wait, None, None]:
        yield None, draw.random() * 2
        last = fleet.ahead_below_s
        while line:
            work, asked = line.popleft(), world.now
            if last >= fleet.ahead_below_s:  # none ahead: the next is sent when the last has been counted
                yield from serve(half)
                waits.append(world.now - asked)
            else:
                world.start(serve(half))
                waits.append(0.0)
            yield None, work
            last = work
            world.start(counted())

    def heartbeat() -> Generator[Wait, None, None]:
        yield None, draw.random() * BEAT_EVERY_S
        while len(ended) < number:
            yield master, fleet.times.master_beat
            yield None, BEAT_EVERY_S

    for _ in range(fleet.nodes):
        world.start(node())
        world.start(heartbeat())
    world.run()
    most = int(0.9 * number)
    took = max(ended)
    return Outcome(
        per_minute=60 * most / sorted(ended)[most - 1], master_busy=master.busy_s / took,
        redis_busy=redis.busy_s / took, postgres_busy=postgres.busy_s / took,
        wait_p99_s=sorted(waits)[int(0.99 * len(waits))],
    )  # fmt: skip
