"""Reports stages outside a run to Dagster's history: taken from another experiment, or kept from before.

Runs contain only computed stages. Reused and taken stages must be reported separately: otherwise Dagster shows a taken
stage as missing, and a stage kept behind a taken one as stale. They are reported before the run starts, as
the stages of the run record what they read when they begin.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from proteinx_pipelines.defs.partitions import experiment_partitions
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.pipeline.plan import COMPUTED, TAKEN
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.settings import Settings

_DATA_VERSION = "dagster/data_version"
_READ_VERSION = "dagster/input_data_version/"
_READ_EVENT = "dagster/input_event_pointer/"


def report_left_out(instance: dg.DagsterInstance, settings: Settings, current: Generation) -> list[str]:
    """Report the stages that a generation's plan does not compute, where the history does not have them yet.

    Costs one query for each such stage, and one event for each that is taken or not yet known.

    Returns:
        The stages that were reported.
    """
    return report_stages(instance, current.experiment_id, _entries(settings, current))


def report_stages(
    instance: dg.DagsterInstance, experiment_id: str, entries: Mapping[str, StageEntry]
) -> list[str]:
    """Report finished stages of an experiment, in order, where the history does not have them yet.

    Returns:
        The stages that were reported.
    """
    if not entries:
        return []
    if not instance.has_dynamic_partition(str(experiment_partitions.name), experiment_id):
        instance.add_dynamic_partitions(str(experiment_partitions.name), [experiment_id])
    reported: list[str] = []
    latest: dict[str, dg.EventLogRecord | None] = {}
    for stage, entry in entries.items():
        tags = _tags(stage, entry, latest)
        before = _latest(instance, stage, experiment_id)
        if entry.action == TAKEN or before is None or _says_otherwise(before, tags):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(
                    asset_key=stage, partition=experiment_id, metadata=_facts(entry), tags=tags
                )
            )
            before = _latest(instance, stage, experiment_id)
            reported.append(stage)
        latest[stage] = before
    return reported


def _entries(settings: Settings, current: Generation) -> dict[str, StageEntry]:
    """Entry of each stage that is left out, in order; action as planned."""
    directory = ExperimentDir(settings.experiments_dir, current.experiment_id)
    here, store = read_pipeline(directory.pipeline), StageStore(settings.paths.store_dir)
    found = {}
    for stage, planned in (current.plan or {}).items():
        if planned["action"] == COMPUTED:
            continue
        entry = _entry(stage, planned, here, store)
        if entry is None:
            break  # gone since it was planned: the attempt will notice, and another attempt is planned without it
        found[stage] = StageEntry(**{**vars(entry), "action": planned["action"]})
    return found


def _entry(
    stage: str, planned: Mapping[str, Any], here: PipelineFile, store: StageStore
) -> StageEntry | None:
    entry = here.stages.get(stage)
    if entry is not None and entry.key == planned["key"]:
        return entry
    return store.lookup(stage, planned["key"])


def _tags(stage: str, entry: StageEntry, latest: Mapping[str, dg.EventLogRecord | None]) -> dict[str, str]:
    """Tags that Dagster would have recorded, had it run the stage: its versions, and those of its inputs."""
    tags = {
        "dagster/code_version": entry.version,
        _DATA_VERSION: entry.digests["all"],
        "dagster/data_version_is_user_provided": "true",
    }
    for source in STAGES[stage].reads:
        record = latest.get(source)
        if record is not None:
            tags[f"{_READ_VERSION}{source}"] = _tags_of(record).get(_DATA_VERSION, "")
            tags[f"{_READ_EVENT}{source}"] = str(record.storage_id)
    return tags


def _says_otherwise(record: dg.EventLogRecord, tags: Mapping[str, str]) -> bool:
    """True if the history holds another version of the stage, or one made from other materializations.

    Inputs are compared by their events: within a run, Dagster 1.13 records a version of its own for an input.
    """
    there = _tags_of(record)
    return any(there.get(name) != value for name, value in tags.items() if not name.startswith(_READ_VERSION))


def _facts(entry: StageEntry) -> dict[str, Any]:
    origin = entry.origin
    listing = "\n".join(f"- `{name}` ({fact['size']:,} bytes)" for name, fact in sorted(entry.files.items()))
    return {
        "action": entry.action,
        "computed by": f"{origin.get('experiment_id')}, generation {origin.get('generation')}",
        "computed at": str(origin.get("finished_at")),
        "key": entry.key,
        "files": dg.MetadataValue.md(listing),
    }


def _latest(instance: dg.DagsterInstance, stage: str, experiment_id: str) -> dg.EventLogRecord | None:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(stage), asset_partitions=[experiment_id])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0] if records else None


def _tags_of(record: dg.EventLogRecord) -> Mapping[str, str]:
    materialization = record.asset_materialization
    return (materialization.tags or {}) if materialization is not None else {}
