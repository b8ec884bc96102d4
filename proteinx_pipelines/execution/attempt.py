"""One attempt at one generation of an experiment: runs stages and publishes their files.

A stage writes below `staging/`; `publishing` brings its files, or those that the store has, into the experiment
directory. Assets and `train.py` both work through this class. It knows nothing of queues, Dagster or retries.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CorruptArtifact, Stopped
from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.publishing import Publisher
from proteinx_pipelines.execution.resources import in_words
from proteinx_pipelines.execution.selection_memo import remember_rows
from proteinx_pipelines.execution.sinks import (
    Beat,
    EventsFile,
    Fanout,
    MetricsFile,
    ProgressListener,
    ProgressOnly,
    Sink,
)
from proteinx_pipelines.execution.stage_context import Workplace
from proteinx_pipelines.execution.stage_inputs import StageInputs
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.execution.staging import remove_staging, staging_dir
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.execution.train_log import TrainLog
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import is_whole, read_pipeline
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.observation.at_work import working_on
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.pipeline.plan import REUSED, TAKEN
from proteinx_pipelines.pipeline.stages import STAGES, Stage, stages_of
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageResult:
    """Outcome of one stage: its record, and the entry that `publish` makes part of the experiment."""

    stage: str
    record: Any
    entry: StageEntry
    is_new: bool
    """True while its files are below `staging/`; those of a kept or taken stage are in place."""


class Attempt:
    """One attempt. `state` and `token` are None outside the queue (a script): then nothing fences it.

    `sinks` receive its news in addition to the experiment's files and `state.db`.
    """

    def __init__(
        self,
        settings: Settings,
        experiment_id: str,
        flags: ExperimentFlags,
        *,
        generation: int = 1,
        number: int = 1,
        payload_ref: str | None = None,
        store: StageStore | None = None,
        state: Ledger | None = None,
        token: str | None = None,
        on_progress: ProgressListener | None = None,
        sinks: Sequence[Sink] = (),
        confined: bool = True,
    ) -> None:
        self.settings = settings
        self.flags = flags
        self.generation = generation
        self.number = number
        self.directory = ExperimentDir(settings.experiments_dir, experiment_id)
        self.inputs = StageInputs(settings, flags, self.directory, payload_ref, confined)
        self.staging = staging_dir(settings.paths.staging_dir, experiment_id, generation, number)
        self.store = store or StageStore.of(settings)
        self.records: dict[str, Any] = {}
        self._memo: Path | None = None
        self._state = state
        self._token = token
        self._publisher = Publisher(self.directory, self.staging, generation, state, token)
        files = MetricsFile(self.directory.metrics), EventsFile(self.directory.events(generation, number))
        beat = [Beat(state, token)] if state is not None and token is not None else []
        listener = [ProgressOnly(on_progress)] if on_progress is not None else []
        self.monitor = ExecutionMonitor(
            Fanout([*files, *beat, *listener, *sinks]), generation=generation, attempt=number
        )
        write_json(self.directory.flags, flags.nested())
        self._log = TrainLog(
            self.directory.train_log
        )  # last: a failure before this line leaves no handler behind
        self._named = contextlib.ExitStack()
        self._named.enter_context(working_on(experiment_id))
        log.info(
            "%s: attempt %d at generation %d, process %d.", experiment_id, number, generation, os.getpid()
        )

    def run_stage(self, name: str, record: Callable[[str], Any]) -> StageResult:
        """Reuse, take over or compute one stage; the result is saved, and not yet part of the experiment.

        Args:
            name: a stage of this experiment.
            record: gives the record of a stage that this one reads; called only when it has to be computed.

        Raises:
            InputChanged: a file named by its flags changed while the stage ran; try again.
            ProteinxError: as the stage says; nothing of it is published then.
        """
        with self._log.stage(name), _logged_end(name):
            self.monitor.begin_stage(name)
            self.inputs.fetch_changeable(STAGES[name], self._alive)
            found = self._find(STAGES[name])
            if found is not None:
                log.info("%s, computed by %s.", found.action, found.origin.get("experiment_id"))
                return StageResult(name, self.load(name), found, is_new=False)
            result = self._compute(STAGES[name], record)
            log.info(
                "%s in %.3f s, %s.",
                result.entry.action,
                result.entry.seconds,
                in_words(result.entry.resources),
            )
            return result

    def _compute(self, stage: Stage, record: Callable[[str], Any]) -> StageResult:
        log.info("begins.")
        self._memo = self.inputs.rows_memo(stage)
        place = Workplace(stage, self.inputs, self.staging, self.store, self.monitor, self.generation)
        computed, entry = place.compute(record)
        before = self.pipeline().stages.get(stage.name)
        resume = self.flags.run.resume
        if resume and before is not None and before.key == entry.key and is_whole(before, self.directory):
            # The same rows as before (only a key of `own_inputs` is known this late): leave the files untouched.
            return StageResult(stage.name, computed, self._kept(before), is_new=False)
        return StageResult(stage.name, computed, entry, is_new=True)

    def publish(self, result: StageResult) -> StageEntry:
        """Make a stage's files part of the experiment.

        Raises:
            Superseded: a newer attempt owns the experiment; nothing was changed.
        """
        entry = result.entry
        if entry.action != TAKEN:  # kept and taken stages are already in place
            self._publisher.publish(result.stage, entry, is_new=result.is_new)
        stage = STAGES[result.stage]
        self._remember(stage, entry)
        if stage == stages_of(self.flags)[-1]:
            self.clear_staging()
        # Files below staging/ have moved: such a record is read again when it is needed.
        if not stage.writes_below_staging:
            self.records[result.stage] = result.record
        self.monitor.event("stage_finished", action=entry.action, seconds=entry.seconds)
        return entry

    def take_planned(self, plan: Mapping[str, Any]) -> None:
        """Take over the stages that the plan found in the store; they are not part of the run.

        Raises:
            CorruptArtifact: a stored file was damaged. It is in quarantine now; another attempt plans without it.
            Stopped: cancelled, timed out, or superseded by a newer attempt.
        """
        self.drop_unwanted()
        for name, planned in plan.items():
            if planned["action"] != TAKEN:
                continue
            self.monitor.begin_stage(name)  # every byte of it is read, which may take longer than a minute
            entry = self._publisher.take(name, planned["key"], self.store)
            if entry is None:
                raise CorruptArtifact(
                    f"The stored {name} stage {planned['key'][:12]} is damaged or gone; try again."
                )
            self._remember(STAGES[name], entry)
            log.info("%s %s, computed by %s.", name, entry.action, entry.origin.get("experiment_id"))
            self.monitor.event("stage_finished", action=entry.action, seconds=entry.seconds)

    def drop_unwanted(self) -> None:
        """Remove the stages that an earlier generation's flags asked for and the present flags do not.

        Raises:
            Superseded: a newer attempt owns the experiment; nothing was changed.
        """
        wanted = {stage.name for stage in stages_of(self.flags)}
        unwanted = [name for name in self.pipeline().stages if name not in wanted]
        if unwanted:
            self._publisher.drop(unwanted)

    def record(self, name: str) -> Any:
        """A finished stage's record: the one in memory, or read from its files."""
        if name not in self.records:
            self.records[name] = self.load(name)
        return self.records[name]

    def load(self, name: str) -> Any:
        """Read a stage's record from the experiment directory."""
        return COMPUTATIONS[name].load(self.directory)

    def pipeline(self) -> PipelineFile:
        """Stages that this experiment has finished so far."""
        return read_pipeline(self.directory.pipeline)

    def _find(self, stage: Stage) -> StageEntry | None:
        """The stage's entry if it need not be computed: this experiment's own, or one from the store."""
        if not self.flags.run.resume and self._is_new_here(stage):
            return None
        inputs = self.inputs.known(stage)
        if inputs is None:
            return None
        key = self.inputs.key(stage, inputs)
        before = self.pipeline().stages.get(stage.name)
        if before is not None and before.key == key and is_whole(before, self.directory):
            return self._kept(before)
        if not self.flags.run.resume:
            return None
        return self._publisher.take(stage.name, key, self.store, self._alive)

    def _alive(self, _n_bytes: int) -> None:
        """Report that bytes come from the shared store; raises when the experiment has to stop."""
        self.monitor.progress(0, 1, "being fetched from the shared store")

    def _is_new_here(self, stage: Stage) -> bool:
        # With `run.resume` false, only stages computed by this very generation may be kept (a retry after a crash).
        entry = self.pipeline().stages.get(stage.name)
        return entry is None or not self._is_mine(entry)

    def _is_mine(self, entry: StageEntry) -> bool:
        return entry.was_computed_by(self.directory.experiment_id, self.generation)

    def _kept(self, before: StageEntry) -> StageEntry:
        # The Master sees one execution: a stage computed by an earlier attempt counts as computed.
        return before if self._is_mine(before) else replace(before, action=REUSED)

    def _remember(self, stage: Stage, entry: StageEntry) -> None:
        """Make the stage known to other experiments and to the node."""
        if self._memo is not None and self._memo == self.inputs.rows_memo(stage):
            remember_rows(self._memo, entry.inputs["rows"])
        if entry.action != TAKEN:  # a kept stage too: a crash may have come before it was stored
            self.store.put(stage.name, entry, self.directory)
        if self._state is not None and self._token is not None:
            self._state.note_stage(self._token, stage.name, entry.action)

    def close(self) -> None:
        """Close the attempt's files."""
        self._named.close()
        self._log.close()
        self.monitor.close()

    def clear_staging(self) -> None:
        """Remove what this and earlier attempts left below `staging/`: all stages are published."""
        remove_staging(self.settings.paths.staging_dir, self.directory.experiment_id)


@contextlib.contextmanager
def _logged_end(stage: str) -> Iterator[None]:
    """Log the end of a stage that raises."""
    try:
        yield
    except Stopped as stop:
        log.warning("%s stopped: %s", stage, stop)
        raise
    except Exception:
        log.exception("%s failed.", stage)
        raise
