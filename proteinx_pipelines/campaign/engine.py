"""One simulated campaign: a start, then rounds in which a rule chooses variants and the landscape gives their scores.

The rule sees the measured rows alone: the targets of all others are NaN in what the model is given.
"""

import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.rule import Protocol, Rule
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, VariantTable
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.choosing import choose_batch
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel, fit_final
from proteinx_pipelines.stages.design.intervals import Intervals
from proteinx_pipelines.stages.train.export import FittedModel

TOP_SHARE = 0.01
"""Share of the landscape whose variants count as hits: the best hundredth."""
_START, _ROUND = 0, 1
_NO_DEVIATION = (
    "`design.acquisition` {name!r} needs the deviation of each prediction, and {model!r} has none. Choose greedy, or a "
    "model with deviations such as gp."
)
_NOTHING_TO_EXPLORE = (
    "`design.explore` {share:g} chooses by the deviation of each prediction, and {model!r} has none. Leave it out, or "
    "choose a model with deviations such as gp."
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
    cpu_seconds: float
    """Processor time."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def run_campaign(landscape: Landscape, rule: Rule, protocol: Protocol, seed: int) -> Campaign:
    """Simulate one campaign.

    The start depends on the seed and the protocol alone, so that all rules begin with the same variants.

    Raises:
        FlagError: the acquisition needs deviations and the model has none.
    """
    began = time.process_time()
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
        seed, tuple(best), tuple(hits), best[-1] >= best_value, round(time.process_time() - began, 3)
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
    hidden = _hidden(landscape, measured)
    model = _trained(landscape, rule, rule.flags, hidden, seed)
    embedding, fitted = landscape.embeddings[rule.representation], model.model
    if design.acquisition == "greedy" and not design.explore:
        # The liar conditions on deviations; a model without a covariance has none to condition on.
        mean, known = (
            fitted.predict_both(embedding, left)
            if design.batching == "liar"
            else (fitted.predict(embedding, left), None)
        )
        deviation = np.zeros(len(left)) if known is None else known
    elif design.acquisition == "ucb" and design.batching == "penalties" and not _spreads(design):
        left, mean = _possible(fitted, embedding, left, design)
        deviation = _deviations(fitted, embedding, left, design)
    else:
        mean, known = fitted.predict_both(embedding, left)
        deviation = known if known is not None else _deviations(fitted, embedding, left, design)
    predicted = Predicted(landscape.candidates.take(left), mean, deviation, float("nan"))
    return np.asarray(left[choose_batch(predicted, _known(landscape, measured), model, design).rows])


def _spreads(design: DesignFlags) -> bool:
    """True if the choice of a variant depends on those chosen before."""
    return design.diversity > 0 or design.most_per_position is not None or design.explore > 0


def _possible(
    fitted: FittedModel, embedding: Embedding, left: np.ndarray, design: DesignFlags
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that may be among the best `design.n` by their upper bounds, and their predictions.

    A row is left out if even its largest possible deviation puts it below `design.n` others with their smallest one:
    the choice is the same, and deviations, the expensive part, are computed for a few thousand rows instead of all.
    """
    mean = fitted.predict(embedding, left)
    if (bounds := fitted.deviation_bounds(embedding, left)) is None:
        return left, mean
    value = utility(mean, design.goal)
    least, most = (value + design.beta * bound for bound in bounds)
    mark = np.partition(least, -design.n)[-design.n] if len(least) > design.n else -np.inf
    # The bounds are rounded otherwise than the deviations.
    kept = most >= mark - 1e-9 * max(1.0, abs(float(mark)))
    return left[kept], mean[kept]


def _deviations(
    fitted: FittedModel, embedding: Embedding, rows: np.ndarray, design: DesignFlags
) -> np.ndarray:
    """Deviation of each row's prediction.

    Raises:
        FlagError: the model has none.
    """
    if (found := fitted.predict_deviation(embedding, rows)) is not None:
        return found
    if design.acquisition == "greedy":
        raise FlagError([_NOTHING_TO_EXPLORE.format(share=design.explore, model=fitted.name)])
    raise FlagError([_NO_DEVIATION.format(name=design.acquisition, model=fitted.name)])


def _hidden(landscape: Landscape, measured: np.ndarray) -> VariantTable:
    """The variant table without the scores of what is not measured."""
    visible, rows = pa.array(np.where(measured, landscape.target, np.nan)), landscape.variants.rows
    for name in ("target", "DMS_score"):
        rows = rows.set_column(rows.column_names.index(name), name, visible)
    return replace(landscape.variants, rows=rows)


def _trained(
    landscape: Landscape, rule: Rule, flags: ExperimentFlags, hidden: VariantTable, seed: int
) -> FinalModel:
    """The rule's model, trained on the rows with a score, with its deviations as they are."""
    trained = flags.model_copy(update={"train": flags.train.model_copy(update={"seed": seed})})
    embedding = landscape.embeddings[rule.representation]
    with tempfile.TemporaryDirectory(prefix="proteinx-campaign-", ignore_cleanup_errors=True) as scratch:
        fitted = fit_final(
            hidden,
            embedding,
            trained,
            directory=ExperimentDir(Path(scratch), "round"),
            monitor=StageMonitor(),
        )
    plain = Intervals("scaled", 1.0, 0, "no held-out rows in a simulated campaign")
    return _LookedUp(
        fitted, flags.embedding, landscape.layout, dict(hidden.templates), dict(hidden.offsets), plain, {},
        landscape=landscape, of=embedding,
    )  # fmt: skip


@dataclass(frozen=True)
class _LookedUp(FinalModel):
    """A model whose candidates are variants of the landscape, so that their vectors are there already."""

    landscape: Landscape = field(kw_only=True)
    of: Embedding = field(kw_only=True)

    def embedded(self, candidates: Candidates, monitor: StageMonitor | None = None) -> Embedding:  # noqa: ARG002
        """Look up the vectors."""
        rows = self.landscape.rows_of(candidates)
        vectors, tokens = (None if part is None else part[rows] for part in (self.of.vectors, self.of.tokens))
        return replace(self.of, ids=self.of.ids.take(pa.array(rows)), vectors=vectors, tokens=tokens)


def _known(landscape: Landscape, measured: np.ndarray) -> Measured:
    """What is measured, as the choice of a batch reads it."""
    target = np.where(measured, landscape.target, np.nan)
    score = np.where(measured, landscape.utility, -np.inf)
    seen = np.zeros((0, 256), bool)  # of remarks on proposals, which a simulation does not print
    return Measured(
        landscape.candidates, target, float("nan"), float(score.max()), int(score.argmax()), seen,
        float(np.nanmax(target)), float(np.nanmin(target)),
    )  # fmt: skip
