"""One simulated campaign: a start, then rounds in which a rule chooses variants and the landscape gives their scores.

The rule sees the measured rows alone: the targets of all others are NaN in what the model is given.
"""

import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.rule import Protocol, Rule
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.design.acquisition import acquire
from proteinx_pipelines.stages.design.batch import choose
from proteinx_pipelines.stages.design.final_model import fit_final

TOP_SHARE = 0.01
"""Share of the landscape whose variants count as hits: the best hundredth."""
_START, _ROUND = 0, 1
_NO_DEVIATION = (
    "`design.acquisition` {name!r} needs the deviation of each prediction, and {model!r} has none. Choose greedy, or a "
    "model with deviations such as gp."
)


@dataclass(frozen=True)
class Campaign:
    """Result of one campaign, after the start and after each round."""

    seed: int
    best: tuple[float, ...]
    """Best utility measured so far."""
    hits: tuple[int, ...]
    """Measured variants among the best hundredth of the landscape."""
    found_maximum: bool
    """True if a variant with the landscape's largest utility was measured."""
    seconds: float

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def run_campaign(landscape: Landscape, rule: Rule, protocol: Protocol, seed: int) -> Campaign:
    """Simulate one campaign.

    The start depends on the seed and the protocol alone, so that all rules begin with the same variants.

    Raises:
        FlagError: the acquisition needs deviations and the model has none.
    """
    began = time.monotonic()
    measured = started(landscape, protocol, seed)
    may = ~measured if protocol.start_from == "all" else (landscape.candidates.counts > 1)
    value = landscape.utility
    best_value, limit = float(value.max()), float(np.quantile(value, 1 - TOP_SHARE, method="higher"))
    best, hits = [float(value[measured].max())], [int((value[measured] >= limit).sum())]
    for number in range(1, protocol.rounds + 1):
        chosen = _chosen(landscape, rule, protocol, measured, may & ~measured, (seed, number))
        measured[chosen] = True
        best.append(float(value[measured].max()))
        hits.append(int((value[measured] >= limit).sum()))
    return Campaign(
        seed, tuple(best), tuple(hits), best[-1] >= best_value, round(time.monotonic() - began, 3)
    )


def started(landscape: Landscape, protocol: Protocol, seed: int) -> np.ndarray:
    """Bool [N]: variants measured at the start, drawn without replacement."""
    pool = np.arange(landscape.n)
    if protocol.start_from == "singles":
        pool = np.flatnonzero(landscape.candidates.counts <= 1)
    drawn = np.random.default_rng([seed, _START]).choice(pool, protocol.start, replace=False)
    found = np.zeros(landscape.n, bool)
    found[drawn] = True
    return found


def _chosen(
    landscape: Landscape,
    rule: Rule,
    protocol: Protocol,
    measured: np.ndarray,
    may: np.ndarray,
    seeds: tuple[int, int],
) -> np.ndarray:
    """int64 [batch]: the variants of the next plate, among those that may be chosen."""
    left = np.flatnonzero(may)
    if rule.flags is None:
        return np.random.default_rng([*seeds, _ROUND]).choice(left, protocol.batch, replace=False)
    seed = int(np.random.SeedSequence([*seeds, _ROUND]).generate_state(1)[0])
    design = rule.flags.design.model_copy(update={"n": protocol.batch, "seed": seed})
    mean, deviation = _predicted(landscape, rule, rule.flags, measured, left, seed)
    if deviation is None:
        if design.acquisition != "greedy":
            raise FlagError([_NO_DEVIATION.format(name=design.acquisition, model=rule.flags.model.name)])
        deviation = np.zeros(len(left))
    worth = acquire(mean, deviation, float(landscape.utility[measured].max()), design)
    spread = float(np.nanstd(worth)) if design.diversity else 0.0
    every = np.full(landscape.n, -np.inf)
    every[left] = worth
    return choose(landscape.candidates, every, spread, design)


def _hidden(landscape: Landscape, measured: np.ndarray) -> VariantTable:
    """The variant table without the scores of what is not measured."""
    visible, rows = pa.array(np.where(measured, landscape.target, np.nan)), landscape.variants.rows
    for name in ("target", "DMS_score"):
        rows = rows.set_column(rows.column_names.index(name), name, visible)
    return replace(landscape.variants, rows=rows)


def _predicted(
    landscape: Landscape,
    rule: Rule,
    flags: ExperimentFlags,
    measured: np.ndarray,
    left: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predictions of the rows `left` by the rule's model, trained on the measured rows alone."""
    hidden = _hidden(landscape, measured)
    trained = flags.model_copy(update={"train": flags.train.model_copy(update={"seed": seed})})
    embedding = landscape.embeddings[rule.representation]
    with tempfile.TemporaryDirectory(prefix="proteinx-campaign-", ignore_cleanup_errors=True) as scratch:
        model = fit_final(
            hidden,
            embedding,
            trained,
            directory=ExperimentDir(Path(scratch), "round"),
            monitor=StageMonitor(),
        )
    if flags.design.acquisition == "greedy":
        return model.predict(embedding, left), np.zeros(len(left))
    return model.predict_both(embedding, left)
