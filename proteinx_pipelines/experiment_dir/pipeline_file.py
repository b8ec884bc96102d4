"""`config/pipeline.json`: inputs and output files of each stage of an experiment.

The recompute rule works on this record. `pipeline.entries` defines an entry and `pipeline.plan` decides; this module
only reads and writes.
"""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from proteinx_pipelines.contract.pipeline import PipelineDocument, StageDocument
from proteinx_pipelines.experiment_dir.files import json_ready, json_text, read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir, check_file_name
from proteinx_pipelines.pipeline.entries import NO_KEY, PipelineFile, StageEntry
from proteinx_pipelines.pipeline.plan import COMPUTED
from proteinx_pipelines.pipeline.stages import STAGES

FORMAT = 1
_KEY = re.compile("[0-9a-f]{64}")


def is_whole(entry: StageEntry, directory: ExperimentDir) -> bool:
    """True if all files of a stage exist in their recorded sizes; their bytes are not read."""
    return all(
        (path := directory.path(name)).is_file() and path.stat().st_size == fact["size"]
        for name, fact in entry.files.items()
    )


def whole_stages(pipeline: PipelineFile, directory: ExperimentDir) -> PipelineFile:
    """A copy without the stages that lack a file: they have to be taken or computed again."""
    there = {name: entry for name, entry in pipeline.stages.items() if is_whole(entry, directory)}
    return replace(pipeline, stages=there)


def read_pipeline(path: Path) -> PipelineFile:
    """Read the file; empty when there is none or when it has another format.

    Raises:
        ValueError: it names a stage, a key or a file that no node writes. Files are removed and stored by these names,
            and an archive may come from anywhere.
    """
    try:
        document = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        return PipelineFile()
    return pipeline_of(document, path) if document.get("format") == FORMAT else PipelineFile()


def pipeline_of(document: Any, path: Path) -> PipelineFile:
    """What a file says.

    Args:
        document: its content, of this version's format.
        path: its place, for the message.

    Raises:
        ValueError: as `read_pipeline`.
    """
    try:
        read = PipelineDocument.model_validate(document)
        stages = {name: entry_of(stage) for name, stage in read.stages.items()}
        for name, entry in stages.items():
            if name not in STAGES:
                raise ValueError(f"it has a stage {name!r}; {', '.join(STAGES)} are expected")
            check_entry(entry)
    except ValueError as error:
        raise ValueError(f"{path} is not as a node writes it: {error}. Put back a copy of it.") from error
    return PipelineFile(generation=read.generation, stages=stages)


def entry_of(document: StageDocument) -> StageEntry:
    """The record of a stage from its document."""
    origin = {name: value for name, value in document.origin.document().items() if value is not None}
    used = document.resources.document() if document.resources is not None else {}
    return StageEntry(**{**document.document(), "origin": origin, "resources": used})


def document_of(entry: StageEntry) -> StageDocument:
    """The document of a stage from its record."""
    return StageDocument.model_validate(json_ready({**asdict(entry), "resources": entry.resources or None}))


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
    stages = {name: document_of(entry) for name, entry in pipeline.stages.items()}
    write_json(path, PipelineDocument(generation=pipeline.generation, stages=stages).document())


def entry_text(entry: StageEntry) -> bytes:
    """An entry as it is kept: whoever takes it over later, it was computed once."""
    return json_text(document_of(replace(entry, action=COMPUTED)).document()).encode("utf-8")


def parse_entry(text: bytes) -> StageEntry | None:
    """Parse a kept entry; None when it is not usable."""
    try:
        entry = entry_of(StageDocument.model_validate_json(text))
        check_entry(entry)
    except (ValueError, TypeError):
        return None
    return entry
