"""Usage report: what became of experiments, on which node and with which model, why they failed, and what they cost.

A row is one experiment (generation) of a node, or one job of a Master, that has ended. Sums of seconds and joules
cover the rows for which they are known; `joules_known` is the number of those rows.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.services.facts import facts_of

UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
ENDS = ("SUCCEEDED", "FAILED", "CANCELLED", "REJECTED")


@dataclass(frozen=True)
class Cost:
    """What the stages that an experiment computed itself have used."""

    cpu_seconds: float | None = None
    joules: float | None = None
    """Energy of processors and GPUs, where all of it that the machine has is told; None where nothing is."""


@dataclass(frozen=True)
class Use:
    """One experiment or job that has ended."""

    experiment_id: str
    generation: int | None
    node: str
    """The node that executed it; `-` for a job that no node had."""
    model: str
    embedding: str
    state: str
    reason: str | None
    """Code of the error."""
    attempts: int
    waited_s: float | None
    seconds: float | None
    """From its first start to its end."""
    cpu_seconds: float | None
    joules: float | None
    finished_at: str


@dataclass(frozen=True)
class Share:
    """Uses of one node, one model, or both."""

    node: str | None
    model: str | None
    ended: int
    succeeded: int
    failed: int
    cancelled: int
    rejected: int
    success_rate: float | None
    """Succeeded of those that succeeded or failed; None without any."""
    attempts: int
    seconds: float
    waited_s: float
    cpu_seconds: float
    joules: float | None
    joules_known: int
    """Number of uses whose joules are known."""


@dataclass(frozen=True)
class Reason:
    """One reason of failure or refusal."""

    state: str
    reason: str
    number: int
    nodes: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class UsageReport:
    """The report."""

    since: str | None
    until: str
    total: Share
    by_node: tuple[Share, ...]
    by_model: tuple[Share, ...]
    by_node_and_model: tuple[Share, ...]
    reasons: tuple[Reason, ...]

    def document(self) -> dict[str, Any]:
        """The report as JSON types."""
        return asdict(self)


def since_of(text: str | None, now: datetime) -> str | None:
    """The time that `7d`, `12h`, `30m`, `2w` or an ISO date stands for, as rows have it; None for no limit.

    Raises:
        InputError: it is none of these.
    """
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit in UNITS and number.isascii() and number.isdigit() and int(number) * UNITS[unit] < 1e10:
        return _written(datetime.fromtimestamp(now.timestamp() - int(number) * UNITS[unit], now.tzinfo))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"{text[:40]!r} is no time: a number with m, h, d or w (`7d`), or a date (`2026-03-01`) is expected."
        ) from None
    return _written(found if found.tzinfo else found.replace(tzinfo=now.tzinfo))


def use_of(current: Generation, node: str, cost: Cost) -> Use:
    """The row of an ended generation."""
    facts = facts_of(current.flags)
    return Use(
        experiment_id=current.experiment_id, generation=current.generation, node=node, model=facts.model,
        embedding=facts.embedding, state=current.state, reason=current.error_code, attempts=current.attempt,
        waited_s=seconds_between(current.received_at, current.started_at),
        seconds=seconds_between(current.started_at, current.finished_at), cpu_seconds=cost.cpu_seconds,
        joules=cost.joules, finished_at=current.finished_at or current.updated_at,
    )  # fmt: skip


def cost_of(resources: Iterable[Mapping[str, Any]]) -> Cost:
    """The sum over stages (`resources` of their entries); one that does not tell its energy leaves the sum unknown."""
    cpu, joules, is_known, is_any = 0.0, 0.0, True, False
    for found in resources:
        is_any = True
        cpu += found.get("cpu_seconds") or 0.0
        told = [found.get("cpu_joules"), *(gpu.get("joules") for gpu in found.get("gpus") or ())]
        known = [value for value in told if value is not None]
        joules += sum(known)
        is_known = is_known and bool(known)
    return Cost(round(cpu, 3), round(joules, 3) if is_known else None) if is_any else Cost()


def usage_report(uses: Sequence[Use], since: str | None, until: str) -> UsageReport:
    """Put rows together: largest groups first."""
    return UsageReport(
        since=since,
        until=until,
        total=_share(None, None, uses),
        by_node=_shares(uses, lambda use: (use.node, None)),
        by_model=_shares(uses, lambda use: (None, use.model)),
        by_node_and_model=_shares(uses, lambda use: (use.node, use.model)),
        reasons=_reasons(uses),
    )


def seconds_between(start: str | None, end: str | None) -> float | None:
    """Seconds from one time to another, not less than 0; None where one is missing."""
    if start is None or end is None:
        return None
    return round(max(0.0, (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()), 3)


def _shares(uses: Sequence[Use], key: Callable[[Use], tuple[str | None, str | None]]) -> tuple[Share, ...]:
    groups: dict[tuple[str | None, str | None], list[Use]] = defaultdict(list)
    for use in uses:
        groups[key(use)].append(use)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), str(item[0])))
    return tuple(_share(node, model, found) for (node, model), found in ordered)


def _share(node: str | None, model: str | None, uses: Sequence[Use]) -> Share:
    states = Counter(use.state for use in uses)
    judged = states["SUCCEEDED"] + states["FAILED"]
    joules = [use.joules for use in uses if use.joules is not None]
    return Share(
        node=node, model=model, ended=len(uses), succeeded=states["SUCCEEDED"], failed=states["FAILED"],
        cancelled=states["CANCELLED"], rejected=states["REJECTED"],
        success_rate=states["SUCCEEDED"] / judged if judged else None,
        attempts=sum(use.attempts for use in uses), seconds=_sum(use.seconds for use in uses),
        waited_s=_sum(use.waited_s for use in uses), cpu_seconds=_sum(use.cpu_seconds for use in uses),
        joules=_sum(joules) if joules else None, joules_known=len(joules),
    )  # fmt: skip


def _reasons(uses: Sequence[Use]) -> tuple[Reason, ...]:
    groups: dict[tuple[str, str], list[Use]] = defaultdict(list)
    for use in uses:
        if use.state in ("FAILED", "REJECTED"):
            groups[use.state, use.reason or "unknown"].append(use)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        Reason(
            state, reason, len(found), _names(use.node for use in found), _names(use.model for use in found)
        )
        for (state, reason), found in ordered
    )


def _names(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(found)))


def _sum(values: Iterable[float | None]) -> float:
    return round(sum(value for value in values if value is not None), 3)


def _written(time: datetime) -> str:
    from datetime import UTC

    return time.astimezone(UTC).isoformat(timespec="milliseconds")
