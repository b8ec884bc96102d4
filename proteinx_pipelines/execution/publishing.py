"""Makes a computed or stored stage part of its experiment: files move only while the attempt owns the experiment.

The order of writes allows recovery from a crash at any point: the old entry is removed, the files move, the new entry
is written. `attempt` computes stages and handles them after they are published.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.execution.staging import adopt_rest
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import sync_folder
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, write_pipeline
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.entries import NO_KEY, PipelineFile, StageEntry
from proteinx_pipelines.pipeline.stages import STAGES


@dataclass(frozen=True)
class Publisher:
    """Changes one experiment's files for one attempt. `state` and `token` are None outside the queue: no fence."""

    directory: ExperimentDir
    staging: ExperimentDir
    generation: int
    state: Ledger | None
    token: str | None

    def publish(self, stage: str, entry: StageEntry, *, is_new: bool) -> None:
        """Move a stage's files out of `staging/` (when `is_new`) and record that the experiment has it.

        Raises:
            Superseded: a newer attempt owns the experiment; nothing was changed.
        """
        with self._owning():
            if is_new:
                self._forget(stage)
                self._move(stage, entry)
            self._record(stage, entry)

    def take(self, stage: str, key: str, store: StageStore, alive: Watch | None = None) -> StageEntry | None:
        """Take a stored stage over; None when the store does not have it whole. `alive`: see `StageStore.verified`.

        Raises:
            Superseded: a newer attempt owns the experiment; nothing was changed.
        """
        entry = store.verified(stage, key, alive)
        if entry is None:
            return None
        with self._owning():
            before = self._pipeline().stages.get(stage)
            self._forget(stage)
            if not store.place(stage, entry, self.directory):
                return None
            if STAGES[stage].writes_below_staging and (before is None or before.key != key):
                # The store has no checkpoints: those in place are another training's.
                shutil.rmtree(self.directory.checkpoints_dir, ignore_errors=True)
            self._record(stage, entry)
        return entry

    def drop(self, stages: Sequence[str]) -> None:
        """Remove stages that the experiment does not have any more, with their files.

        Raises:
            Superseded: a newer attempt owns the experiment; nothing was changed.
        """
        with self._owning():
            pipeline = self._pipeline()
            for stage in stages:
                # The files first: an entry with a missing file is not whole, so nothing is built on it.
                for name in pipeline.stages[stage].files:
                    self.directory.path(name).unlink(missing_ok=True)
                pipeline = pipeline.without(stage)
            write_pipeline(self.directory.pipeline, pipeline)

    @contextmanager
    def _owning(self) -> Iterator[None]:
        """Allow changes to the experiment's files in the block: this attempt is the current one until its end."""
        if self.state is None or self.token is None:
            yield
            return
        # The write lock of state.db is held while files change: no newer attempt can supersede this one in between.
        with self.state.held():
            if not self.state.holds(self.token):
                raise Superseded("A newer attempt owns the experiment; nothing was published.")
            yield

    def _forget(self, stage: str) -> None:
        """Remove the entry before files are replaced: a crash must not leave an entry beside other files."""
        pipeline = self._pipeline()
        before = pipeline.stages.get(stage)
        if before is not None and before.key != NO_KEY:
            write_pipeline(self.directory.pipeline, pipeline.with_stage(stage, replace(before, key=NO_KEY)))

    def _move(self, stage: str, entry: StageEntry) -> None:
        folders = set()
        for name in entry.files:
            target = self.directory.path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            self.staging.path(name).replace(target)
            folders.add(target.parent)
        if STAGES[stage].writes_below_staging:
            adopt_rest(self.staging, self.directory)
        for folder in folders:
            sync_folder(folder)

    def _record(self, stage: str, entry: StageEntry) -> None:
        """Record that the experiment has this stage, and remove files that only the previous entry had."""
        pipeline = self._pipeline()
        before = pipeline.stages.get(stage)
        write_pipeline(
            self.directory.pipeline, replace(pipeline.with_stage(stage, entry), generation=self.generation)
        )
        for name in set(before.files if before else ()) - set(entry.files):
            self.directory.path(name).unlink(missing_ok=True)

    def _pipeline(self) -> PipelineFile:
        return read_pipeline(self.directory.pipeline)
