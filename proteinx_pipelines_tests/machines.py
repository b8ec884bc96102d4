"""Machines that share a store and nothing else: each has a WORKDIR of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.sending import Sender
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines.files.shared.store import SharedStore, shared_store
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.execution.conftest import write_catalog


@dataclass(frozen=True)
class Machine:
    """One machine."""

    settings: Settings

    @classmethod
    def at(cls, workdir: Path, store: str | None, **variables: str) -> "Machine":
        """A machine with an empty WORKDIR but for a catalog."""
        environment = {"PROTEINX_WORKDIR": str(workdir), "PROTEINX_STORE": store or "", **variables}
        found = load_settings(environment, workdir.parent)
        found.workdir.mkdir(parents=True)
        write_catalog(found.database_path, n_singles=60, n_doubles=10)
        return cls(found)

    @property
    def store(self) -> StageStore:
        """Its stage store, with the shared one behind it."""
        return StageStore.of(self.settings)

    @property
    def shared(self) -> SharedStore:
        """The shared store, as experiments of this machine ask it."""
        found = shared_store(self.settings)
        assert found is not None
        return found

    @property
    def blobs(self) -> BlobStore:
        """The blobs of the shared store."""
        return self.shared.blobs

    @property
    def outgoing(self) -> Outgoing:
        """What waits to be sent."""
        return Outgoing(self.settings.paths.outgoing_dir)

    def send(self) -> int:
        """Send everything that waits, as the agent would in the background."""
        return Sender(self.blobs, self.store, self.outgoing).send_all()

    def run(
        self, experiment_id: str, flags: dict[str, Any], stages: tuple[str, ...] = ()
    ) -> dict[str, StageEntry]:
        """Run stages of an experiment, as a worker would; the entry of each."""
        before = read_pipeline(ExperimentDir(self.settings.experiments_dir, experiment_id).pipeline)
        attempt = Attempt(
            self.settings, experiment_id, parse_flags(flags), generation=before.generation + 1, confined=False
        )
        try:
            return {
                name: attempt.publish(attempt.run_stage(name, attempt.record))
                for name in stages or always_made()
            }
        finally:
            attempt.close()


def actions(entries: dict[str, StageEntry]) -> dict[str, str]:
    """What happened to each stage."""
    return {name: entry.action for name, entry in entries.items()}
