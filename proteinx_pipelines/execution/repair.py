"""Repairs a damaged store: moves damaged entries aside, and restores them from an experiment that has them whole.

`store_contents` finds the damage. An experiment whose own files are the damaged ones (they are links to the store's)
keeps them for inspection; its `pipeline.json` forgets the stage, so that its next generation computes that
stage and those behind it, and no other. Experiments that wait or run are left alone.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.execution.store_contents import Damage
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, write_pipeline
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.entries import NO_KEY, StageEntry
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.embedding.sequence_store import quarantine_shard


@dataclass(frozen=True)
class Repair:
    """Outcome of one repair."""

    damage: Damage
    quarantine: Path
    """New place of the damaged bytes."""
    put_back_from: str | None = None
    """The experiment whose whole files took their place; None when it has to be computed again."""
    forgotten_by: tuple[str, ...] = ()
    """Experiments with the same damaged bytes that compute the stage again in their next generation."""
    busy: tuple[str, ...] = ()
    """Experiments with the same damaged bytes that wait or run: repair again when they have ended."""


def repair(settings: Settings, damage: Damage) -> Repair:
    """Repair one damage."""
    if damage.stage is None:
        return Repair(damage, quarantine_shard(damage.path))
    store, key = StageStore(settings.paths.store_dir), damage.path.name
    holders = _holders(settings, damage, key)
    kept = store.quarantine(damage.stage, key)
    whole = next((holder for holder in holders if _is_whole(*holder)), None)
    if whole is not None:
        store.put(damage.stage, whole[1], whole[0])
    spoilt = [directory for directory, entry in holders if not _is_whole(directory, entry)]
    forgotten = {
        directory.experiment_id for directory in spoilt if _forget(settings, directory, damage.stage, key)
    }
    names = {directory.experiment_id for directory in spoilt}
    return Repair(
        damage,
        kept,
        whole[0].experiment_id if whole else None,
        tuple(sorted(forgotten)),
        tuple(sorted(names - forgotten)),
    )


def _holders(settings: Settings, damage: Damage, key: str) -> list[tuple[ExperimentDir, StageEntry]]:
    """Experiments that have this very stage, with their entries for it."""
    directories = [ExperimentDir(settings.experiments_dir, name) for name in damage.experiments]
    found = [
        (directory, read_pipeline(directory.pipeline).stages.get(damage.stage or ""))
        for directory in directories
    ]
    return [(directory, entry) for directory, entry in found if entry is not None and entry.key == key]


def _is_whole(directory: ExperimentDir, entry: StageEntry) -> bool:
    """True if an experiment's own files have the recorded bytes; reads all of them."""
    return all(
        (path := directory.path(name)).is_file() and file_sha256(path) == str(fact["sha256"])
        for name, fact in entry.files.items()
    )


def _forget(settings: Settings, directory: ExperimentDir, stage: str, key: str) -> bool:
    """Let an experiment compute a stage again in its next generation; false while it waits or runs."""
    state = Ledger(settings.state_path)
    with state.held():  # no attempt can start in between
        latest = state.latest(directory.experiment_id)
        if latest is not None and not latest.is_terminal:
            return False
        pipeline = read_pipeline(directory.pipeline)
        entry = pipeline.stages.get(stage)
        if entry is not None and entry.key == key:
            write_pipeline(directory.pipeline, pipeline.with_stage(stage, replace(entry, key=NO_KEY)))
    return True
