"""Inputs of one experiment's stages: the files that its flags and message name, and the digests in its keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.execution.evidence_inputs import evidence_digests
from proteinx_pipelines.execution.excluded_sources import excluded_digests
from proteinx_pipelines.execution.outside_inputs import outside_inputs
from proteinx_pipelines.execution.paths import allowed_path, fetched_path, may_change
from proteinx_pipelines.execution.selection_memo import known_rows, rows_memo
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.pipeline.plan import input_digests, stage_key
from proteinx_pipelines.pipeline.stages import STAGES, Stage, paths_of
from proteinx_pipelines.settings import Settings


@dataclass(frozen=True)
class StageInputs:
    """The inputs of one experiment's stages, as they are now."""

    settings: Settings
    flags: ExperimentFlags
    directory: ExperimentDir
    payload_ref: str | None
    confined: bool
    """True if a message named the paths: they must then stay below WORKDIR and the data roots."""

    def database(self, watch: Watch | None = None) -> Path:
        """The catalog to select from: the payload of the message, or `<WORKDIR>/database.db`."""
        path = self.fetched_path("payload_ref", self.payload_ref, watch)
        if path is None:
            return self.settings.database_path
        from proteinx_pipelines.catalog.payload import open_payload

        return open_payload(path, self.settings.paths.payloads_dir, self.settings.most_data_bytes)

    def allowed_path(self, name: str, text: str | None) -> Path | None:
        """The file a flag names.

        Raises:
            PathNotAllowed: a message's path leads outside WORKDIR and the data roots.
        """
        return allowed_path(self.settings, name, text, confined=self.confined)

    def fetched_path(self, name: str, text: str | None, watch: Watch | None = None) -> Path | None:
        """As `allowed_path`; a file behind a reference is fetched.

        Raises:
            MissingFile: there is nothing behind the reference.
            BackendError: the store or the Master does not answer.
        """
        return fetched_path(self.settings, name, text, confined=self.confined, watch=watch)

    def fetch_changeable(self, stage: Stage, watch: Watch) -> None:
        """Fetch the files of a stage whose content its reference does not name, since they enter its key.

        Raises:
            MissingFile, BackendError: as `fetched_path`.
        """
        named: dict[str, str | None] = {}
        for name in stage.file_flags:
            named |= paths_of(self.flags, name)
        if stage.own_inputs:
            named["payload_ref"] = self.payload_ref
        for name, text in named.items():
            if may_change(self.settings, text):
                self.fetched_path(name, text, watch)

    def known(self, stage: Stage) -> dict[str, str] | None:
        """Digests in the stage's key that can be computed before it runs; None while one is not known."""
        if stage.own_inputs:
            return known_rows(self.settings, self.flags, self._payload())
        return input_digests(stage, read_pipeline(self.directory.pipeline).stages, self._outside)

    def read(self, stage: Stage) -> dict[str, str]:
        """Digests of the stage's inputs; none yet for a stage that makes the digests in its key itself."""
        return {} if stage.own_inputs else self.known(stage) or {}

    def key(self, stage: Stage, inputs: Mapping[str, str]) -> str:
        """The key of the stage with these digests, by the code that is installed here."""
        return stage_key(stage, COMPUTATIONS[stage.name].version, self.flags, inputs)

    def rows_memo(self, stage: Stage) -> Path | None:
        """Name of the memo for the digests that the stage makes itself, from its present inputs."""
        return rows_memo(self.settings, self.flags, self._payload()) if stage.own_inputs else None

    def _payload(self) -> Path | None:
        return self.allowed_path("payload_ref", self.payload_ref)

    def _outside(self, stage: str) -> dict[str, str]:
        found = outside_inputs(stage, self.flags, self.allowed_path, self.settings.paths.store_dir)
        if STAGES[stage].reads_attachments:
            found |= evidence_digests(self.flags, self.database)
        return found | excluded_digests(stage, self.flags, self.database)
