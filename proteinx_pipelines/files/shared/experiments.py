"""Experiments in the shared store: which there are, their index, their files."""

from collections.abc import Callable, Iterator
from pathlib import Path

from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.errors import CorruptArtifact, UnknownExperiment
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, check_file_name
from proteinx_pipelines.experiment_id import check_experiment_id
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.shared.names import EXPERIMENTS, document_name, generation_folder


def read_document(text: bytes) -> ExperimentDocument:
    """Parse an `experiment.json`.

    Raises:
        CorruptArtifact: it cannot be read, or lists files that lie outside.
    """
    try:
        document = ExperimentDocument.model_validate_json(text)
        for name in document.artifacts:
            check_file_name(name)
    except ValueError as error:
        raise CorruptArtifact(f"The experiment.json in the shared store cannot be read: {error}") from error
    return document


def sent_generations(blobs: BlobStore, experiment_id: str) -> list[int]:
    """Generations of an experiment that are whole in the store, ascending."""
    folder = f"{EXPERIMENTS}/{check_experiment_id(experiment_id)}"
    parts = (name.removeprefix(f"{folder}/").split("/") for name in blobs.names(folder))
    return sorted({int(part[0]) for part in parts if part[1:] == [DOCUMENT] and part[0].isdigit()})


def sent_document(blobs: BlobStore, experiment_id: str, generation: int | None = None) -> ExperimentDocument:
    """The `experiment.json` of an experiment in the store: its state, and the index of its files.

    Args:
        blobs: of the store.
        experiment_id: the experiment.
        generation: None is the newest.

    Raises:
        UnknownExperiment: the store does not have it.
        CorruptArtifact: its document cannot be read.
    """
    known = sent_generations(blobs, experiment_id)
    wanted = generation if generation is not None else max(known, default=0)
    try:
        return read_document(blobs.read(document_name(experiment_id, wanted)))
    except FileNotFoundError as error:
        there = (
            f"it has generations {', '.join(map(str, known))}" if known else "it has no experiment of this id"
        )
        raise UnknownExperiment(
            f"{experiment_id}, generation {wanted}, is not in the shared store: {there}. It is sent in the "
            "background when it has ended on a node with PROTEINX_STORE."
        ) from error


def get_files(
    blobs: BlobStore,
    document: ExperimentDocument,
    folder: Path,
    *,
    wanted: Callable[[str], bool] = lambda _name: True,
    watch: Watch | None = None,
) -> Iterator[str]:
    """Fetch the files of an experiment, each checked against the index; files that are there already are kept.

    Args:
        blobs: of the store.
        document: from `sent_document`.
        folder: the experiment's folder on this machine.
        wanted: chooses files by name.
        watch: told of each transfer.

    Yields:
        The names of the files.

    Raises:
        CorruptArtifact: a file has other bytes than its index says, or is missing.
    """
    below = generation_folder(document.experiment_id, document.generation)
    for name, fact in document.artifacts.items():
        if not wanted(name):
            continue
        target = folder / name
        is_here = target.is_file() and target.stat().st_size == fact.size
        if not is_here or file_sha256(target) != fact.sha256:
            try:
                blobs.get(f"{below}/{name}", target, sha256=fact.sha256, watch=watch)
            except FileNotFoundError as error:
                raise CorruptArtifact(f"{below}/{name} is listed and not in the shared store.") from error
        yield name
