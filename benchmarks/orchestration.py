"""What a node adds to an experiment: push to result, minus the same stages as a plain script in a warm process.

The experiment is small and computes all six stages: one-hot, ridge, no plots, GB1 of the demo. Measured: on an idle
node, with 20 messages at once, and the processor of a node without work; and from push to
result with all pictures and intervals, which is what a person waits for. The peer is the stock way, Dagster's daemon
and default launcher with dagster-celery's own executor (`peers/stock_dagster.py`) on six steps that do nothing, so that
all of its time is overhead. It has its turn in the same run after our node has stopped: two nodes would take each
other's processor.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

from local_node import DATA, LocalNode, clean_environment, flags
from measure import Figure, Goal, Spread, arguments_of, report
from peers.stock_dagster import StockDagster

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import load_settings

STAGES = always_made()

PEER_QUEUED = 4
"""Experiments at once for the stock side: each takes a quarter of a minute."""


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument(
            "--singles", type=int, help="experiments on the idle node; two for each repeat"
        ),
        lambda p: p.add_argument("--experiments", type=int, default=20, help="messages at once"),
        lambda p: p.add_argument("--idle-seconds", type=float, default=20),
    )
    singles = options.singles or 2 * options.repeats
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plain = Spread.of(plain_script(root, singles))
        single, queued, idle, whole_single, whole_queued = our_node(root, singles, options)
        peer_single, peer_queued = stock(root / "stock", options.repeats) if options.peers else (None, None)
    facts = {"plain_script_s": plain.median, "experiments_at_once": options.experiments}
    name = "dagster-celery, stock"
    report(
        "orchestration",
        [
            Figure("orchestration.idle", "an experiment on an idle node, beyond its computation", "s",
                   less(single, plain.median), peer_single, name,
                   (Goal("ours", "<=", 2), Goal("ours", "<=", 1)), facts),
            Figure("orchestration.queued", f"each of {options.experiments} queued experiments, beyond computation",
                   "s", less(queued, plain.median), peer_queued, name, (Goal("ours", "<=", 1), Goal("ours", "<=", 0.5)),
                   {**facts, "stock_experiments_at_once": PEER_QUEUED}),
            Figure("orchestration.whole", "push to result of a small experiment, with everything", "s", whole_single,
                   goals=(Goal("ours", "<=", 0.6), Goal("ours", "<=", 0.4))),
            Figure("orchestration.whole_queued", f"the same, each of {options.experiments} queued", "s", whole_queued,
                   goals=(Goal("ours", "<=", 0.45),)),
            Figure("orchestration.idle_cpu", "processor of a node without work", "% of a core", idle,
                   goals=(Goal("ours", "<=", 5),)),
        ],
        options.out,
    )  # fmt: skip


def plain_script(root: Path, repeats: int) -> list[float]:
    """Seconds of the six stages, called one after another in this process; the first call is not counted."""
    settings = load_settings({"PROTEINX_WORKDIR": str(root / "plain")}, root)
    import_file(settings.database_path, DATA)
    seconds = []
    for number in range(repeats + 1):
        started = time.perf_counter()
        attempt = Attempt(settings, f"plain-{number}", parse_flags(flags(number)))
        for stage in STAGES:
            attempt.publish(attempt.run_stage(stage, attempt.record))
        attempt.close()
        seconds.append(time.perf_counter() - started)
    return seconds[1:]


class Side(Protocol):
    """A node of either kind."""

    def give(self, experiment_id: str, seed: int) -> None: ...

    def take(self) -> None: ...


class OurSide(LocalNode):
    whole = False
    """Whether experiments have their pictures and intervals."""

    def give(self, experiment_id: str, seed: int) -> None:
        self.push(experiment_id, {**flags(seed), "evaluate": {}} if self.whole else flags(seed))

    def take(self) -> None:
        result = self.pop()
        assert result["status"] == "SUCCEEDED", result["error"]
        assert set(result["stages"].values()) == {"computed"}, result["stages"]


class StockSide(StockDagster):
    def give(self, experiment_id: str, seed: int) -> None:  # noqa: ARG002
        self.push(experiment_id)

    def take(self) -> None:
        self.pop()


def our_node(root: Path, singles: int, options: Any) -> tuple[Spread, ...]:
    """Seconds of an experiment alone and among many, percent of a core without work, and the first two whole."""
    node = OurSide(root / "node")
    try:
        warm(node)
        single = alone(node, singles)
        queued = [at_once(node, options.experiments, k) for k in range(options.repeats)]
        time.sleep(2)
        idle = []
        for _ in range(options.repeats):
            before = node.cpu_s()
            time.sleep(options.idle_seconds)
            idle.append(100 * (node.cpu_s() - before) / options.idle_seconds)
        node.whole = True
        alone(node, 1, "warm")
        whole = alone(node, singles, "whole")
        whole_queued = [at_once(node, options.experiments, 100 + k) for k in range(options.repeats)]
    finally:
        node.stop()
    return tuple(Spread.of(found) for found in (single, queued, idle, whole, whole_queued))


def stock(folder: Path, repeats: int) -> tuple[Spread, Spread]:
    """The same of the stock side."""
    side = StockSide(folder, clean_environment())
    try:
        warm(side)
        return Spread.of(alone(side, repeats)), Spread.of(
            [at_once(side, PEER_QUEUED, k) for k in range(repeats)]
        )
    finally:
        side.stop()


def warm(side: Side) -> None:
    side.give("warm", 10_000)
    side.take()


def alone(side: Side, n: int, name: str = "single") -> list[float]:
    """Seconds from push to result, one after another, each on an idle node."""
    seconds = []
    for number in range(n):
        time.sleep(1.0)  # the tick is waiting, wherever it is in its round
        started = time.perf_counter()
        side.give(f"{name}-{number}", number + 50 * len(name))
        side.take()
        seconds.append(time.perf_counter() - started)
    return seconds


def at_once(side: Side, n: int, turn: int) -> float:
    """Seconds for each of n that are pushed together."""
    started = time.perf_counter()
    for number in range(n):
        side.give(f"queued-{turn}-{number}", 1000 * (turn + 1) + number)
    for _ in range(n):
        side.take()
    return (time.perf_counter() - started) / n


def less(seconds: Spread, base: float) -> Spread:
    return Spread(seconds.median - base, seconds.min - base, seconds.max - base, seconds.n)


if __name__ == "__main__":
    main()
