"""Finished stages of an experiment: the entries of `config/pipeline.json` as records.

The recompute rule works on these entries. `experiment_dir.pipeline_file` reads and writes the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from proteinx_pipelines.pipeline.stages import STAGES

NO_KEY = ""
"""Key of a stage whose files are being replaced: it equals no other, so nothing is built on such an entry."""


@dataclass(frozen=True)
class StageEntry:
    """One finished stage."""

    key: str
    version: str
    flags: Mapping[str, Any]
    """The flag groups the stage read, nested, defaults written out."""
    inputs: Mapping[str, str]
    """Content digests that entered the key: `<stage>.<view>` -> SHA-256."""
    digests: Mapping[str, str]
    """Content digests of the stage's outputs, by view (`all`, `sequences`, ...)."""
    files: Mapping[str, Mapping[str, Any]]
    """Relative name -> `{size, sha256}`."""
    action: str
    """Origin: `computed`, `reused` (by the current generation) or `taken`."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Origin of the computation: `experiment_id`, `generation`, `finished_at`."""
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    """Summary for a person: row counts, sizes, the database's stamp."""
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Resources used: processor time, peak memory, GPUs. Empty in entries of release 0.1.0."""
    code: Mapping[str, Any] = field(default_factory=dict)
    """Code that computed it: versions and commits of the package and of plugins, the container."""

    def was_computed_by(self, experiment_id: str, generation: int) -> bool:
        """True if an attempt of this generation computed it, even if it was reused since."""
        return {"experiment_id": experiment_id, "generation": generation}.items() <= self.origin.items()


@dataclass(frozen=True)
class PipelineFile:
    """All stages that an experiment has finished."""

    generation: int = 0
    stages: Mapping[str, StageEntry] = field(default_factory=dict)

    def with_stage(self, name: str, entry: StageEntry) -> "PipelineFile":
        """Return a copy in which `name` has this entry."""
        merged = {**self.stages, name: entry}
        return replace(self, stages={stage: merged[stage] for stage in STAGES if stage in merged})

    def without(self, name: str) -> "PipelineFile":
        """Return a copy without an entry of `name`."""
        return replace(self, stages={stage: entry for stage, entry in self.stages.items() if stage != name})
