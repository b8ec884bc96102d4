"""Summary of simulated campaigns: curves with intervals over seeds, paired differences, and the share of luck."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from proteinx_pipelines.campaign.landscape import Landscape
from proteinx_pipelines.campaign.rule import RANDOM, Protocol, Rule
from proteinx_pipelines.campaign.runs import Ran
from proteinx_pipelines.resampling.shares import wilson

LEVEL = 0.95


@dataclass(frozen=True)
class Point:
    """Best so far after some measurements, over the seeds; fractions of `Landscape.scale`."""

    measured: int
    mean: float
    se: float | None
    """Standard error of the mean; None for one seed."""
    low: float | None
    high: float | None
    """Ends of the 95 % interval of the mean (Student's t); None for one seed."""
    p10: float
    median: float
    p90: float
    """Quantiles of single campaigns: the range in which luck puts eight of ten."""


@dataclass(frozen=True)
class Final:
    """End of the campaigns of one rule."""

    best: float
    """Mean of the best fraction found."""
    se: float | None
    """Standard error of the mean; None for one campaign."""
    found_maximum: float
    """Share of the campaigns that measured the best variant."""
    found_low: float
    found_high: float
    """Ends of its 95 % interval (Wilson)."""
    hits: float
    """Mean number of measured variants among the best hundredth of the landscape."""
    deviation: float | None
    """Standard deviation of the best fraction over the campaigns; None for one campaign."""
    start_correlation: float | None
    """Spearman of the best at the start and at the end: the share of luck in the first plate; None if undefined."""


@dataclass(frozen=True)
class Curve:
    """One rule under one protocol."""

    rule: Rule
    protocol: Protocol
    points: tuple[Point, ...]
    final: Final
    ends: tuple[float, ...]
    """Best fraction of each campaign, in the order of the seeds."""
    seconds: float
    """Mean processor time of a campaign, in seconds."""


@dataclass(frozen=True)
class Difference:
    """First rule of the simulation less another one, at the end, paired by seed."""

    rule: str
    batch: int
    other: str
    other_batch: int
    mean: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None for one seed."""
    better: float
    """Share of the seeds in which it ended higher; a tie counts as one half."""
    single: float
    """Probability that one campaign ends higher than one of the other, each with a start of its own."""

    @property
    def is_clear(self) -> bool:
        """True if the interval excludes 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def curve(landscape: Landscape, ran: Ran) -> Curve:
    """Summarise the campaigns of one task."""
    best = landscape.fraction(np.array([campaign.best for campaign in ran.campaigns]))  # [seeds, rounds + 1]
    n = len(best)
    found = sum(campaign.found_maximum for campaign in ran.campaigns)
    low, high = wilson(found, n)
    final = Final(
        float(best[:, -1].mean()), _se(best[:, -1]), found / n, low, high,
        float(np.mean([campaign.hits[-1] for campaign in ran.campaigns])), _deviation(best[:, -1]),
        _spearman(best[:, 0], best[:, -1]),
    )  # fmt: skip
    points = tuple(_point(measured, best[:, k]) for k, measured in enumerate(ran.task.protocol.measured))
    seconds = float(np.mean([campaign.cpu_seconds for campaign in ran.campaigns]))
    ends = tuple(float(value) for value in best[:, -1])
    return Curve(ran.task.rule, ran.task.protocol, points, final, ends, seconds)


def differences(landscape: Landscape, every: Sequence[Ran]) -> list[Difference]:
    """The first task less each other one."""
    ends = [landscape.fraction(np.array([one.best[-1] for one in ran.campaigns])) for ran in every]
    first = every[0]
    found = []
    for ran, end in zip(every[1:], ends[1:], strict=True):
        apart = ends[0] - end
        mean = float(apart.mean())
        low, high = _ends(apart)
        found.append(
            Difference(
                first.task.rule.name, first.task.protocol.batch, ran.task.rule.name, ran.task.protocol.batch, mean,
                low, high, float((apart > 0).mean() + 0.5 * (apart == 0).mean()),
                _higher(ends[0], end),
            )
        )  # fmt: skip
    return found


def exact_random(landscape: Landscape, k: int) -> float:
    """Expected best fraction of k variants drawn without replacement, exactly.

    The largest of k is at most the i-th smallest of N with probability C(i, k) / C(N, k).
    """
    value = np.sort(landscape.fraction(landscape.utility))
    n = len(value)
    i = np.arange(1, n + 1, dtype=np.float64)
    at_most = np.zeros(n)
    enough = i >= k
    log = special.gammaln(i[enough] + 1) - special.gammaln(i[enough] - k + 1)
    at_most[enough] = np.exp(log - special.gammaln(n + 1) + special.gammaln(n - k + 1))
    return float(np.diff(np.concatenate([[0.0], at_most])) @ value)


def random_points(landscape: Landscape, protocol: Protocol) -> list[float]:
    """Exact expectation of the random rule after the start and after each round; empty if it is not a plain draw."""
    if protocol.start_from != "all":
        return []
    return [exact_random(landscape, k) for k in protocol.measured]


def is_random(rule: Rule) -> bool:
    """True for the rule that chooses at random."""
    return rule.name == RANDOM and rule.flags is None


def _point(measured: int, best: np.ndarray) -> Point:
    p10, median, p90 = np.quantile(best, [0.1, 0.5, 0.9])
    low, high = (None if end is None else min(max(end, 0.0), 1.0) for end in _ends(best))
    return Point(measured, float(best.mean()), _se(best), low, high, float(p10), float(median), float(p90))


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _se(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def _ends(values: np.ndarray) -> tuple[float, float] | tuple[None, None]:
    """Ends of the interval of the mean (Student's t); None for one value."""
    if (se := _se(values)) is None:
        return None, None
    mean, half = float(values.mean()), float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * se)
    return mean - half, mean + half


def _spearman(one: np.ndarray, other: np.ndarray) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(stats.spearmanr(one, other).statistic)


def _higher(one: np.ndarray, other: np.ndarray) -> float:
    return float((one[:, None] > other[None]).mean() + 0.5 * (one[:, None] == other[None]).mean())
