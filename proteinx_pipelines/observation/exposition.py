"""Samples of the table's metrics in Prometheus' text form, and counters that live as long as their process."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.samples import Exemplar

from proteinx_pipelines.observation.table import METRICS, Metric

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Filling:
    """Observations of one histogram."""

    counts: tuple[int, ...]
    """Number in each bucket of the table, and above the last bound."""
    total: float
    """Sum of the observed values."""


@dataclass(frozen=True)
class Sample:
    """One value of one metric."""

    name: str
    value: float | Filling
    labels: Mapping[str, str] = field(default_factory=dict)


def sample(name: str, value: float | Filling | None, **labels: str) -> Iterator[Sample]:
    """One sample, or none where the value is None."""
    if value is not None:
        yield Sample(name, value, labels)


def exposition(samples: Iterable[Sample], *registries: CollectorRegistry) -> str:
    """The text that Prometheus reads.

    Args:
        samples: in any order; those of one metric are put together.
        registries: further counters and histograms, made by `counter` and `histogram`.

    Raises:
        KeyError: a sample's metric, or one of its labels, is not in the table.
    """
    grouped: dict[str, list[Sample]] = {}
    for each in samples:
        grouped.setdefault(each.name, []).append(each)
    whole = _Once(_family(METRICS[name], found) for name, found in grouped.items())
    return "".join(generate_latest(one).decode() for one in (whole, *registries))


def build_info(part: str) -> Sample:
    """The version of this package, as a sample; `part` is `master` or `node`."""
    try:
        found = version("proteinx-infra")
    except PackageNotFoundError:  # run from a folder
        found = "unknown"
    return Sample("proteinx_build_info", 1, {"part": part, "version": found})


def counter(registry: CollectorRegistry, name: str) -> Counter:
    """A counter of the table that begins at 0 in this process."""
    metric = METRICS[name]
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def histogram(registry: CollectorRegistry, name: str) -> Histogram:
    """A histogram of the table that begins empty in this process."""
    metric = METRICS[name]
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)


def registry() -> CollectorRegistry:
    """Holds the counters of one process, without the times at which each was made."""
    _without_creation_times()
    return CollectorRegistry()


@lru_cache(maxsize=1)
def _without_creation_times() -> None:
    from prometheus_client import disable_created_metrics

    disable_created_metrics()  # type: ignore[no-untyped-call]


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if metric.kind == "histogram":
        filled = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for each in samples:
            if not isinstance(each.value, Filling):
                raise KeyError(f"{metric.name} is a histogram")
            buckets = _cumulative(metric.buckets, each.value.counts)
            filled.add_metric(_labels(metric, each), buckets, each.value.total)
        return filled
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for each in samples:
        if isinstance(each.value, Filling):
            raise KeyError(f"{metric.name} is no histogram")
        family.add_metric(_labels(metric, each), each.value)
    return family


def _labels(metric: Metric, each: Sample) -> list[str]:
    if set(each.labels) != set(metric.labels):
        raise KeyError(f"{each.name} has the labels {metric.labels}, not {sorted(each.labels)}")
    return [each.labels[name] for name in metric.labels]


def _cumulative(
    bounds: tuple[float, ...], counts: tuple[int, ...]
) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    total = 0
    found: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        total += count
        found.append((bound, float(total)))
    return found


class _Once(CollectorRegistry):
    """A registry of what is given: nothing in it outlives one answer."""

    def __init__(self, families: Iterable[Family]) -> None:
        super().__init__()
        self._families = list(families)

    def collect(self) -> Iterator[Family]:
        """The families."""
        yield from self._families
