"""`config/pipeline.json`: for each stage of an experiment, what it was made from and what it left behind.

This is the memory that the recompute rule works on. Deciding is `plan`; this file only reads and writes.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import STAGES, ExperimentDir, check_file_name

FORMAT = 1
NO_KEY = ""
"""Key of a stage whose files are being replaced: it equals no other, so nothing is built on such an entry."""
_KEY = re.compile("[0-9a-f]{64}")


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
    """Content digests of what the stage left behind, by view (`all`, `sequences`, ...)."""
    files: Mapping[str, Mapping[str, Any]]
    """Relative name -> `{size, sha256}`."""
    action: str
    """How it came here: `computed`, `reused` (by the current generation) or `taken`."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Who computed it: `experiment_id`, `generation`, `finished_at`."""
    seconds: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)
    """What a person wants to see beside it: row counts, sizes, the database's stamp."""

    def was_computed_by(self, experiment_id: str, generation: int) -> bool:
        """Whether an attempt of this generation computed it, however it came here since."""
        return {"experiment_id": experiment_id, "generation": generation}.items() <= self.origin.items()

    def is_whole(self, directory: ExperimentDir) -> bool:
        """Whether all of its files are there in their sizes; their bytes are not read."""
        return all(
            (path := directory.path(name)).is_file() and path.stat().st_size == fact["size"]
            for name, fact in self.files.items()
        )


@dataclass(frozen=True)
class PipelineFile:
    """All stages that an experiment has finished."""

    generation: int = 0
    stages: Mapping[str, StageEntry] = field(default_factory=dict)

    def with_stage(self, name: str, entry: StageEntry) -> "PipelineFile":
        """A copy in which `name` has this entry."""
        merged = {**self.stages, name: entry}
        return replace(self, stages={stage: merged[stage] for stage in STAGES if stage in merged})

    def whole(self, directory: ExperimentDir) -> "PipelineFile":
        """A copy without the stages of which a file is gone: they have to be taken or computed again."""
        return replace(
            self, stages={name: entry for name, entry in self.stages.items() if entry.is_whole(directory)}
        )


def read_pipeline(path: Path) -> PipelineFile:
    """Read the file; empty when there is none or when it has another format.

    Raises:
        ValueError: it names a stage, a key or a file that no node writes. Files are removed and stored by these names,
            and an archive may come from anywhere.
    """
    if not path.is_file():
        return PipelineFile()
    document = read_json(path)
    if document.get("format") != FORMAT:
        return PipelineFile()
    stages = {name: StageEntry(**entry) for name, entry in document["stages"].items()}
    try:
        for name, entry in stages.items():
            if name not in STAGES:
                raise ValueError(f"it has a stage {name!r}; {', '.join(STAGES)} are expected")
            check_entry(entry)
    except ValueError as error:
        raise ValueError(f"{path} is not as a node writes it: {error}. Put back a copy of it.") from error
    return PipelineFile(generation=document["generation"], stages=stages)


def check_entry(entry: StageEntry) -> None:
    """Check that an entry read from a document names a key and files of an experiment.

    Raises:
        ValueError: it names something else, which could lie outside.
    """
    if entry.key != NO_KEY and not _KEY.fullmatch(str(entry.key)):
        raise ValueError(f"it has a key {entry.key!r}; 64 hexadecimal digits are expected")
    for name in entry.files:
        check_file_name(name)


def write_pipeline(path: Path, pipeline: PipelineFile) -> None:
    """Write the file atomically."""
    stages = {name: asdict(entry) for name, entry in pipeline.stages.items()}
    write_json(path, {"format": FORMAT, "generation": pipeline.generation, "stages": stages})
