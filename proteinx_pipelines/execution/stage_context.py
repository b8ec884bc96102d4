"""Requests of a stage to the attempt that runs it, and the saving of its record as files and an entry."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.memory import allowed_memory, refuse_beyond_memory
from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.outside_inputs import refuse_changed
from proteinx_pipelines.execution.resources import Meter
from proteinx_pipelines.execution.shards.embedding import ShardedEmbedding
from proteinx_pipelines.execution.shards.kept import KeptSpread
from proteinx_pipelines.execution.stage_inputs import StageInputs
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.execution.staging import disown_training, inherit_training
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.plan import COMPUTED
from proteinx_pipelines.pipeline.stages import Stage
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.embedding.spreading import BatchSpread


@dataclass
class Workplace:
    """`stages.StageContext` of one stage in one attempt."""

    stage: Stage
    inputs: StageInputs
    staging: ExperimentDir
    store: StageStore
    monitor: ExecutionMonitor
    generation: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> ExperimentFlags:
        """Of the experiment."""
        return self.inputs.flags

    @property
    def directory(self) -> ExperimentDir:
        """Of the experiment."""
        return self.inputs.directory

    def database(self) -> Path:
        """The catalog to select from."""
        return self.inputs.database(self._alive)

    def allowed_path(self, name: str, text: str | None) -> Path | None:
        """The file that a flag names, when the experiment may read it."""
        return self.inputs.fetched_path(name, text, self._alive)

    def _alive(self, _n_bytes: int) -> None:
        self.monitor.progress(0, 1, "a file is being fetched")

    def batch_spread(self) -> BatchSpread | None:
        """Workers that embed batches, with `run.shards` above 1."""
        n_shards = self.flags.run.shards
        return ShardedEmbedding(self.inputs.settings, n_shards, self.monitor) if n_shards > 1 else None

    def spread(self) -> Spread | None:
        """Workers that compute shards of this stage, with `run.shards` above 1.

        None for trainings on several machines, which meet at one place: they go one after the other.
        """
        n_shards = self.flags.run.shards
        if n_shards == 1 or self.flags.trainer.n_machines() > 1:
            return None
        key = self.inputs.key(self.stage, self.digests_read())
        return KeptSpread(
            self.inputs.settings, self.store, n_shards, key, self.directory.experiment_id, self.generation
        )

    def digests_read(self) -> Mapping[str, str]:
        """Digests of what the stage reads, as they enter its key."""
        return self.inputs.read(self.stage)

    def resumes(self) -> bool:
        """True if an attempt at the same training was interrupted; its files are in `staging` now."""
        return inherit_training(
            self.staging,
            key=self.inputs.key(self.stage, self.digests_read()),
            first_generation=1 if self.flags.run.resume else self.generation,
        )

    def compute(self, record: Callable[[str], Any]) -> tuple[Any, StageEntry]:
        """Compute the stage and write its files below `staging/`.

        Args:
            record: gives the record of a stage that this one reads.

        Returns:
            The record, and the entry that describes its files.

        Raises:
            InputChanged: a file named by its flags changed while the stage ran; try again.
            ProteinxError: as the stage says.
        """
        started = time.monotonic()
        self.staging.root.mkdir(parents=True, exist_ok=True)
        read = self.inputs.read(self.stage)
        with Meter() as meter:
            records = {source: record(source) for source in self.stage.reads}
            self._refuse_beyond_memory(records.values())
            computed = self._run(records)
        refuse_changed(self.stage.name, read, self.inputs.read(self.stage))
        return computed, self._save(computed, read, started, meter.usage())

    def _run(self, records: Mapping[str, Any]) -> Any:
        try:
            return COMPUTATIONS[self.stage.name].compute(self, records)
        except InputError:
            disown_training(self.staging)  # training continued from there would fail again
            raise

    def _refuse_beyond_memory(self, records: Iterable[Any]) -> None:
        allowed = allowed_memory(self.inputs.settings)
        for variants in records:
            if isinstance(variants, VariantTable):
                residues = max(map(len, variants.templates.values()), default=0)
                refuse_beyond_memory(self.flags, rows=variants.n_variants, residues=residues, allowed=allowed)

    def _save(
        self, record: Any, read: Mapping[str, str], started: float, used: Mapping[str, Any]
    ) -> StageEntry:
        code = COMPUTATIONS[self.stage.name]
        files = {name: _fact(self.staging.path(name)) for name in code.save(record, self.staging, self.flags)}
        own = {name: str(files[file]["sha256"]) for name, file in code.own_inputs.items()}
        return StageEntry(
            key=self.inputs.key(self.stage, {**read, **own}),
            version=code.version,
            flags=self.stage.document(self.flags),
            inputs={**read, **own},
            digests=code.digests(record, files),
            files=files,
            action=COMPUTED,
            origin={
                "experiment_id": self.directory.experiment_id,
                "generation": self.generation,
                "finished_at": timestamp(),
            },
            seconds=round(time.monotonic() - started, 3),
            details=self.details,
            resources=used,
            code=code_facts(),
        )


def _fact(path: Path) -> Mapping[str, Any]:
    return {"size": path.stat().st_size, "sha256": file_sha256(path)}
