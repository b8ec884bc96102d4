"""Traces a metric back to the rows: the files it was made from, the experiments that computed them, their keys.

    evaluate <- train <- embedding, split <- transform <- selection <- query, database

Read from `pipeline.json`, `report.json` and the executed query; the digests are those of the files in place.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.contract.campaign import CampaignDocument
from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import QUERY
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import STAGES, count
from proteinx_pipelines.services.ports import OpenedGeneration


@dataclass(frozen=True)
class Ancestor:
    """One stage on the way from a metric to the rows."""

    stage: str
    key: str
    version: str
    action: str
    """Origin of the stage in this generation: computed, reused or taken."""
    computed_by: str
    """`<experiment_id>, generation <n>`."""
    computed_at: str
    inputs: Mapping[str, str]
    """Digests that entered the key: `<stage>.<view>` -> SHA-256."""
    files: Mapping[str, str]
    """Name -> SHA-256 of each output."""
    flags: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Row counts of the stage."""


@dataclass(frozen=True)
class Ancestry:
    """An earlier round of the campaign that the experiment belongs to."""

    campaign_id: str
    round: int
    experiment_id: str
    """Experiment that proposed the plate."""
    source: str
    """Data that it was trained on."""
    plate_sha256: str
    measured_as: str
    """Source of what was measured of the plate."""
    measured_sha256: str
    """Digest of the file that was given."""
    n_measured: int
    """Proposed variants that were measured."""


@dataclass(frozen=True)
class Lineage:
    """The complete chain behind a generation's metrics."""

    metrics: Mapping[str, float | None]
    ancestors: tuple[Ancestor, ...]
    """Stages from evaluate back to selection."""
    query: Mapping[str, Any] | None
    """The executed selection: `sql`, `parameters`, `database`, `rows`."""
    broken: tuple[str, ...]
    """Inputs whose recorded digest differs from the current output of the earlier stage."""
    rounds: tuple[Ancestry, ...] = ()
    """Rounds whose plates the rows come from, the latest first; empty for an experiment of no campaign."""


def lineage(side: OpenedGeneration, campaigns: Iterable[CampaignDocument] = ()) -> Lineage:
    """Follow one generation's metrics back to the rows that were measured, through the rounds of its campaign."""
    entries = side.stages
    query = side.file("selection", QUERY)
    return Lineage(
        metrics=dict(side.report.summary) if side.report is not None else {},
        ancestors=tuple(
            _ancestor(side, stage, entries[stage]) for stage in reversed(STAGES) if stage in entries
        ),
        query=None if query is None else read_json(query),
        broken=tuple(_broken(entries)),
        rounds=tuple(_rounds(side.name.partition("@")[0], campaigns)),
    )


def _rounds(experiment_id: str, campaigns: Iterable[CampaignDocument]) -> list[Ancestry]:
    for campaign in campaigns:
        own = next((each for each in campaign.rounds if each.experiment_id == experiment_id), None)
        if own is not None:
            return [
                Ancestry(
                    campaign.campaign_id, each.number, each.experiment_id, each.source, each.plate.fact.sha256,
                    each.measured.source, each.measured.fact.sha256, each.measured.n_of_plate,
                )
                for each in reversed(campaign.rounds[: own.number - 1])
                if each.plate is not None and each.measured is not None
            ]  # fmt: skip
    return []


def _ancestor(side: OpenedGeneration, stage: str, entry: StageEntry) -> Ancestor:
    origin = entry.origin
    return Ancestor(
        stage=stage,
        key=entry.key,
        version=entry.version,
        action=entry.action,
        computed_by=f"{origin.get('experiment_id')}, generation {origin.get('generation')}",
        computed_at=str(origin.get("finished_at")),
        inputs=dict(entry.inputs),
        files={name: str(fact["sha256"]) for name, fact in sorted(entry.files.items())},
        flags=dict(entry.flags),
        facts={**_facts(stage, side.report), **entry.details},
    )


def _facts(stage: str, report: Report | None) -> dict[str, Any]:
    """Row counts of a stage from the report."""
    if report is None:
        return {}
    document = report.document()  # a row of the pipeline names the place of a count in it
    found = {name: count(document, place) for name, place in STAGES[stage].counts.items()}
    return {name: number for name, number in found.items() if number is not None}


def _broken(entries: Mapping[str, StageEntry]) -> list[str]:
    """Finds breaks in the chain: a stage whose output was replaced after a later stage had read it."""
    found = []
    for name, entry in entries.items():
        for read, recorded in entry.inputs.items():
            source, _, view = read.partition(".")
            if source not in STAGES:  # a file or a plugin, which has no entry here
                continue
            there = entries[source].digests.get(view) if source in entries else None
            if recorded != there:
                found.append(f"{name} was made from another {source} than the one in place")
    return found
