"""A simulation, not a measurement: 100 nodes that share one Redis and one Postgres with Dagster's history.

Discrete events: a node takes experiments from the Master's list (up to four ahead, as a real one does), works on one,
and between its pieces of work writes events to Postgres and talks to Redis; it goes on when the answer is there. Redis
is one server, Postgres a few; who finds them busy waits in line. What comes out: experiments a minute, how busy both
servers are, and how long an event waits. The peer is a fleet whose servers answer at once, with the same experiments.

Events and their statements are those of a real run of six stages; commands and service times are assumptions, all
stated in `Fleet`.
"""

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from functools import partial

from measure import Figure, Goal, Spread, arguments_of, report

Wait = tuple["Server | None", float]
"""What a process asks for: a server (None: nothing but time) and the seconds it takes."""


@dataclass(frozen=True)
class Fleet:
    nodes: int
    experiments_per_node: int = 20
    compute_s: float = 20.0
    """Median of an experiment's own work; spread as a lognormal."""
    compute_sigma: float = 1.0
    events: int = 80
    """Events of Dagster's history an experiment."""
    statements: int = 5
    """Postgres statements an event."""
    redis_commands: int = 80
    statement_s: float = 0.4e-3
    """Postgres, one round trip in a data centre included."""
    postgres_servers: int = 8
    redis_s: float = 30e-6
    ahead: int = 4
    seed: int = 0


class Server:
    """c equal servers with one line in front of them."""

    def __init__(self, servers: int) -> None:
        self.free, self.servers = servers, servers
        self.line: deque[tuple[float, float, Callable[[], None]]] = deque()
        self.busy_s = 0.0
        self.waits: list[float] = []


@dataclass
class Simulation:
    """Processes are generators that yield what they wait for."""

    now: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    def start(self, process: Generator[Wait, None, None]) -> None:
        self._step(process)

    def run(self) -> None:
        while self._events:
            self.now, _, happens = heapq.heappop(self._events)
            happens()

    def _at(self, delay: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), happens))

    def _step(self, process: Generator[Wait, None, None]) -> None:
        try:
            server, seconds = next(process)
        except StopIteration:
            return
        if server is None:
            self._at(seconds, lambda: self._step(process))
        else:
            server.line.append((self.now, seconds, lambda: self._step(process)))
            self._serve(server)

    def _serve(self, server: Server) -> None:
        while server.free and server.line:
            came, seconds, then = server.line.popleft()
            server.waits.append(self.now - came)
            server.busy_s += seconds
            server.free -= 1
            self._at(seconds, partial(self._done, server, then))

    def _done(self, server: Server, then: Callable[[], None]) -> None:
        server.free += 1
        then()
        self._serve(server)


@dataclass(frozen=True)
class Outcome:
    per_minute: float
    """Experiments a minute until nine in ten have ended; the last ones are few nodes' long experiments."""
    tail: float
    """How much longer the last tenth takes than at that rate: look-ahead and long experiments at the end of a queue."""
    postgres_busy: float
    redis_busy: float
    wait_p99_s: float
    """99th percentile of the wait for Postgres."""


def simulate(fleet: Fleet) -> Outcome:
    draw, world = random.Random(fleet.seed), Simulation()
    redis, postgres = Server(1), Server(fleet.postgres_servers)
    n = fleet.nodes * fleet.experiments_per_node
    waiting = deque(draw.lognormvariate(0, fleet.compute_sigma) * fleet.compute_s for _ in range(n))
    ended: list[float] = []

    def node() -> Generator[Wait, None, None]:
        yield None, draw.random() * 2
        mine: deque[float] = deque()
        while waiting or mine:
            while waiting and len(mine) < fleet.ahead:
                mine.append(waiting.popleft())
            work = mine.popleft()
            for _ in range(fleet.events):
                yield None, work / fleet.events
                for _ in range(fleet.statements):
                    yield postgres, draw.expovariate(1 / fleet.statement_s)
                for _ in range(fleet.redis_commands // fleet.events):
                    yield redis, draw.expovariate(1 / fleet.redis_s)
            ended.append(world.now)

    def heartbeat() -> Generator[Wait, None, None]:
        yield None, draw.random() * 5
        while len(ended) < n:
            for _ in range(10):
                yield redis, fleet.redis_s
            for _ in range(10):
                yield postgres, fleet.statement_s
            yield None, 5.0

    for _ in range(fleet.nodes):
        world.start(node())
        world.start(heartbeat())
    world.run()
    took, most = ended[-1], int(0.9 * n)
    rate = most / ended[most - 1]
    waits = sorted(postgres.waits)
    return Outcome(
        per_minute=60 * rate, tail=took / (n / rate), postgres_busy=postgres.busy_s / took / postgres.servers,
        redis_busy=redis.busy_s / took, wait_p99_s=waits[int(0.99 * len(waits))],
    )  # fmt: skip


def main() -> None:
    options = arguments_of(__doc__, lambda p: p.add_argument("--nodes", type=int, default=100))
    fleets = [Fleet(options.nodes, seed=seed) for seed in range(options.repeats)]
    ours = [simulate(fleet) for fleet in fleets]
    ideal = [simulate(replace(fleet, statement_s=1e-9, redis_s=1e-9)) for fleet in fleets]
    sizes = sorted({1, 10, 30, options.nodes, 3 * options.nodes})
    growth = {n: vars(simulate(Fleet(n))) for n in sizes}
    short = simulate(Fleet(options.nodes, compute_s=0.5))
    report(
        "fleet",
        [
            Figure(
                f"fleet.minutes_{options.nodes}", f"simulated: 1,000 experiments on {options.nodes} nodes", "min",
                Spread.of([1000 / found.per_minute for found in ours]),
                Spread.of([1000 / found.per_minute for found in ideal]), "servers that answer at once",
                (Goal("ratio", ">=", 0.95),),
                {"growth": growth, "half_a_second_each": vars(short), "assumptions": vars(fleets[0])},
            )
        ],
        options.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
