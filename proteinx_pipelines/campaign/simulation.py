"""Simulation of campaigns on one landscape: rules and baselines, the same starts for all, one document."""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.campaign.defaults import for_positions
from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.pool import refuse_unsimulated
from proteinx_pipelines.campaign.rule import Protocol, Rule, check_protocol, rules_of
from proteinx_pipelines.campaign.runs import Progress, Task, run_all
from proteinx_pipelines.campaign.summary import Curve, Difference, curve, differences, random_points
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.spreading import Spread


@dataclass(frozen=True)
class Asked:
    """What is simulated."""

    start: int = 96
    rounds: int = 4
    batch: int = 96
    seeds: int = 70
    first_seed: int = 0
    start_from: str = "all"
    acquisitions: tuple[str, ...] = ()
    """Values of `design.acquisition` to compare; that of the flags when empty."""
    batches: tuple[int, ...] = ()
    """Further batch sizes for the first rule, with as many rounds as measure the same number of variants."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every batch size."""
        return (self.batch, *self.batches)


@dataclass(frozen=True)
class Simulation:
    """Result; `document` is described in docs/commands.md."""

    landscape: dict[str, Any]
    """`name`, `variants`, `singles`, `best` (mutant and score), `worst`, `zero`, `one` (scores of the scale's ends)."""
    protocol: Protocol
    seeds: int
    curves: tuple[Curve, ...]
    """The rule first, then other acquisitions and batches, then the baselines."""
    differences: tuple[Difference, ...]
    random_exact: tuple[float, ...]
    """Expected best fraction of a random choice, exactly; empty where the start is not a plain draw."""
    seconds: float

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "landscape": self.landscape, "protocol": {**asdict(self.protocol), "seeds": self.seeds},
            "rules": [_rule_document(found) for found in self.curves],
            "differences": [asdict(each) for each in self.differences], "random_exact": list(self.random_exact),
            "seconds": self.seconds,
        }  # fmt: skip


def _rule_document(found: Curve) -> dict[str, Any]:
    return {
        "name": found.rule.name, **found.rule.document(), "batch": found.protocol.batch,
        "rounds": found.protocol.rounds, "curve": [asdict(point) for point in found.points],
        "final": asdict(found.final), "ends": list(found.ends), "words": rule_in_words(found.rule),
        "seconds": found.seconds,
    }  # fmt: skip


def simulate_on(
    landscape: Landscape,
    flags: ExperimentFlags,
    asked: Asked,
    *,
    folder: Path,
    processes: int | None = None,
    progress: Progress = lambda _done, _all: None,
    spread: Spread | None = None,
) -> Simulation:
    """Simulate the rule of the flags, further acquisitions and batches, and the baselines.

    Args:
        landscape: measured variants.
        flags: the rule; `defaults.with_defaults` has filled in what was not written.
        asked: protocol and comparisons.
        folder: keeps finished campaigns.
        processes: number of processes; that of the processor cores when None.
        progress: called after each campaign.
        spread: workers elsewhere, instead of processes of this machine.

    Raises:
        FlagError: more variants are asked for than there are, the model has no deviations for the acquisition, or a
            flag has no meaning in a simulation.
    """
    refuse_unsimulated(flags.design, asked.sizes)
    began = time.monotonic()
    protocol = Protocol(asked.start, asked.rounds, asked.batch, asked.start_from)
    begins_with_singles = protocol.start_from == "singles"
    rule = for_positions(flags, landscape.n_positions, begins_with_singles=begins_with_singles)
    rules = rules_of(rule, asked.acquisitions)
    tasks = [Task(rules[0], protocol)]
    tasks += [Task(rules[0], _of_batch(protocol, size)) for size in asked.batches if size != asked.batch]
    tasks += [Task(rule, protocol) for rule in rules[1:]]
    singles = int((landscape.candidates.counts <= 1).sum())
    for task in tasks:
        check_protocol(task.protocol, landscape.n, singles)
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    ran = run_all(
        landscape, tasks, seeds, folder=folder, processes=processes or os.cpu_count() or 1, progress=progress,
        spread=spread,
    )  # fmt: skip
    return Simulation(
        _facts(landscape), protocol, asked.seeds, tuple(curve(landscape, each) for each in ran),
        tuple(differences(landscape, ran)), tuple(random_points(landscape, protocol)),
        round(time.monotonic() - began, 1),
    )  # fmt: skip


def _of_batch(protocol: Protocol, batch: int) -> Protocol:
    rounds = max(1, round(protocol.rounds * protocol.batch / batch))
    return Protocol(protocol.start, rounds, batch, protocol.start_from)


def _facts(landscape: Landscape) -> dict[str, Any]:
    best, worst = int(landscape.utility.argmax()), int(landscape.utility.argmin())
    zero, one = landscape.scale
    counts = landscape.candidates.counts
    names = landscape.candidates.take(np.array([best, worst])).mutants(landscape.offset)
    template = np.flatnonzero(counts == 0)
    return {
        "name": landscape.name, "variants": landscape.n, "left_out": landscape.left_out,
        "singles": int((counts == 1).sum()),
        "positions": landscape.n_positions,
        "best": {"mutant": names[0], "score": float(landscape.target[best])},
        "worst": {"mutant": names[1], "score": float(landscape.target[worst])},
        "wild_type": float(landscape.target[template[0]]) if len(template) else None,
        "goal": landscape.goal, "zero": zero, "one": one,
    }  # fmt: skip


def rule_in_words(rule: Rule) -> str:
    """`gp (rbf) on onehot, ucb with 2 deviations`."""
    if rule.flags is None:
        return "drawn at random"
    model, design = rule.flags.model, rule.flags.design
    kernel = f" ({model.kernel})" if model.name == "gp" and model.kernel else ""
    extra = f" with {design.beta:g} deviations" if design.acquisition == "ucb" else ""
    spread = f", diversity {design.diversity:g}" if design.diversity else ""
    return f"{model.name}{kernel} on {rule.flags.embedding.name}, {design.acquisition}{extra}{spread}"
