"""Removing, archiving and restoring experiments: directory, `state.db` and store in step.

Directories are renamed inside a transaction of `state.db`, so that a message for the same experiment comes before
all of it or after. An experiment that waits or runs is refused. `defs.archiving_history` handles Dagster's
partitions.
"""

import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CorruptArtifact, NodeBusy, UnknownExperiment
from proteinx_pipelines.execution.document import versions
from proteinx_pipelines.execution.staging import remove_staging
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.archive import Manifest, pack, read_manifest, unpack
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.layout import PIPELINE, ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.files.shared.archives import get_archive
from proteinx_pipelines.files.shared.outgoing import ARCHIVED, Outgoing
from proteinx_pipelines.files.shared.store import PATIENCE_S, shared_store
from proteinx_pipelines.ledger.experiment_rows import problems_of_rows
from proteinx_pipelines.ledger.generation import TERMINAL
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.talking.status import forget_status
from proteinx_pipelines.settings import Settings

_OPEN = ("PENDING", "RUNNING")


@dataclass(frozen=True)
class Shelf:
    """Removes, archives and restores the experiments of one WORKDIR."""

    settings: Settings
    state: Ledger

    def archive_path(self, experiment_id: str) -> Path:
        """`<WORKDIR>/archive/<experiment_id>.tar`."""
        return self.settings.paths.archive(experiment_id)

    def remove(self, experiment_id: str, *, force: bool = False) -> bool:
        """Remove an experiment: its directory, its history, its status in Redis. Files it shares stay until `store gc`.

        Returns:
            True if there was something to remove.

        Raises:
            NodeBusy: it waits or runs; cancel it first.
        """
        directory = self._directory(experiment_id)
        with self.state.held() as held:
            self._refuse_open(directory, force=force)
            trash = self._put_aside(directory)
            removed = held.forget(experiment_id)
        Outgoing(self.settings.paths.outgoing_dir).forget_experiment(directory.experiment_id)
        self._clean(directory, trash)
        had_status = forget_status(self.settings, directory.experiment_id)
        return trash is not None or removed > 0 or had_status

    def archive(self, experiment_id: str, *, force: bool = False) -> Path:
        """Pack an experiment's directory and history into one file, and remove the directory.

        Its history stays in `state.db`: the same message again is still answered with the stored result.

        Raises:
            UnknownExperiment: it has no directory.
            NodeBusy: it waits or runs, or an archive of it is there already.
        """
        directory, target = self._directory(experiment_id), self.archive_path(experiment_id)
        if not directory.document.is_file():
            raise UnknownExperiment(
                f"{directory.root} is not there: there is no experiment {experiment_id!r} to archive."
            )
        if target.exists():
            raise NodeBusy(f"{target} is there already. Move or delete it first.")
        self._refuse_open(directory, force=force)
        before = _generation_on_disk(directory)
        pack(directory, target, state=self.state.rows_of(experiment_id), versions=versions())
        try:
            with self.state.held():
                self._refuse_open(directory, force=force)
                if _generation_on_disk(directory) != before:
                    raise NodeBusy(f"{experiment_id} has run again while it was packed; archive it again.")
                trash = self._put_aside(directory)
        except NodeBusy:
            target.unlink()
            raise
        self._clean(directory, trash)
        if self.settings.store is not None:
            Outgoing(self.settings.paths.outgoing_dir).add(ARCHIVED, directory.experiment_id, str(before[0]))
        return target

    def fetch_archive(self, experiment_id: str) -> Path:
        """The archive of an experiment: that of this WORKDIR, or else that of the shared store, which is fetched.

        Raises:
            UnknownExperiment: neither has one.
            CorruptArtifact: the store's came with other bytes than were sent.
            BackendError: the store does not answer.
        """
        path = self.archive_path(experiment_id)
        if path.is_file():
            return path
        store = shared_store(self.settings, silence_s=PATIENCE_S)
        if store is None or not get_archive(store.blobs, experiment_id, path):
            also = "" if store is None else f", nor in {store.url}"
            raise UnknownExperiment(
                f"{path} is not there{also}. Archives are in {self.settings.paths.archive_dir}."
            )
        return path

    def restore(self, archive: Path) -> ExperimentDir:
        """Restore an archived experiment after checking every byte, and put its stages back into the store.

        Raises:
            UnknownExperiment: the file is not there.
            CorruptArtifact: the archive is damaged, or names files outside of it; nothing was changed.
            NodeBusy: this WORKDIR has an experiment of that id, or `state.db` knows a newer generation of it.
        """
        if not archive.is_file():
            raise UnknownExperiment(
                f"{archive} is not there. Archives are in {self.settings.paths.archive_dir}."
            )
        directory = self._directory(str(read_manifest(archive)["experiment_id"]))
        self._refuse_present(directory)
        building = self.settings.experiments_dir / f".restoring-{secrets.token_hex(4)}"
        try:
            manifest = unpack(archive, building)
            _check_history(archive, manifest)
            _check_stages(archive, building)
            with self.state.held() as held:
                self._refuse_present(directory)
                self._refuse_newer(manifest)
                held.put_back(directory.experiment_id, manifest["state"])
                building.rename(directory.root)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        store = StageStore.of(self.settings)
        for stage, entry in whole_stages(read_pipeline(directory.pipeline), directory).stages.items():
            store.put(stage, entry, directory)
        return directory

    def _directory(self, experiment_id: str) -> ExperimentDir:
        known = self.state.latest(experiment_id)
        return ExperimentDir(self.settings.experiments_dir, known.experiment_id if known else experiment_id)

    def _refuse_open(self, directory: ExperimentDir, *, force: bool) -> None:
        latest = self.state.latest(directory.experiment_id)
        if latest is not None and latest.state in _OPEN:
            raise NodeBusy(
                f"{latest.experiment_id} is {latest.state}. Wait for its end, or cancel it with `proteinx cancel`."
            )
        by_hand = latest is None and not force and directory.document.is_file()
        if by_hand and read_experiment(directory).status == "RUNNING":
            raise NodeBusy(
                f"{directory.experiment_id} was started by hand and has not ended. If its process is no longer "
                "there, use --force."
            )

    def _refuse_present(self, directory: ExperimentDir) -> None:
        if directory.root.exists():
            raise NodeBusy(
                f"{directory.root} is there already. Archive or remove that experiment first, or set "
                "PROTEINX_WORKDIR to another folder."
            )

    def _refuse_newer(self, manifest: Mapping[str, Any]) -> None:
        latest = self.state.latest(str(manifest["experiment_id"]))
        archived = max(
            (int(row["generation"]) for row in manifest["state"].get("generations", ())), default=0
        )
        if latest is not None and (latest.state in _OPEN or latest.generation > archived):
            raise NodeBusy(
                f"{latest.experiment_id} has generation {latest.generation} ({latest.state}) here, the archive has "
                f"{archived}. Remove the experiment first to go back to the archived one."
            )

    def _put_aside(self, directory: ExperimentDir) -> Path | None:
        if not directory.root.exists():
            return None
        trash = self.settings.paths.trash_dir / f"{directory.experiment_id}-{secrets.token_hex(4)}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        directory.root.rename(trash)
        return trash

    def _clean(self, directory: ExperimentDir, trash: Path | None) -> None:
        remove_staging(self.settings.paths.staging_dir, directory.experiment_id)
        if trash is not None:
            shutil.rmtree(trash, ignore_errors=True)


def _check_history(archive: Path, manifest: Manifest) -> None:
    """Accept only rows that a node writes, and only ended ones: a restored experiment must not begin to run."""
    rows = manifest.get("state")
    problems = problems_of_rows(str(manifest["experiment_id"]), rows)
    if isinstance(rows, Mapping) and not problems:
        states = sorted({str(row["state"]) for row in rows.get("generations", ())} - set(TERMINAL))
        problems += [f"its experiment is {state}, and only ended ones are archived" for state in states]
    if problems:
        raise CorruptArtifact(
            f"{archive} cannot be restored: {'; '.join(problems)}. Nothing was changed; use another copy of it."
        )


def _check_stages(archive: Path, folder: Path) -> None:
    """Check the archived stage entries: they enter the store and name files to remove, so no name may lead outside."""
    for path in sorted(folder.rglob(PIPELINE)):
        try:
            read_pipeline(path)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CorruptArtifact(
                f"{archive} cannot be restored: its {path.relative_to(folder).as_posix()} does not hold what a node "
                f"writes: {error.__cause__ or error}. Nothing was changed; use another copy of it."
            ) from error


def _generation_on_disk(directory: ExperimentDir) -> tuple[int, str]:
    document = read_experiment(directory)
    return document.generation, document.updated_at
