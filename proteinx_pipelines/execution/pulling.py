"""Brings an ended experiment from the shared store into this WORKDIR, file by file, checked against its own index.

A person asks for it (`proteinx store pull`), or a job continues an experiment that another node has worked on: then its
directory is copied without its large files.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.errors import CorruptArtifact, NodeBusy, ProteinxError, UnknownExperiment
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.experiments import get_files, sent_document, sent_generations
from proteinx_pipelines.files.shared.names import document_name
from proteinx_pipelines.files.shared.store import shared_store
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
LARGE_BYTES = 64 * 1024**2
"""Size of a file from which it does not come along: the stage store takes it over when a stage needs it."""


def pull_experiment(
    settings: Settings,
    blobs: BlobStore,
    experiment_id: str,
    generation: int | None = None,
    *,
    said: Callable[[str], None] = lambda _name: None,
) -> ExperimentDir:
    """Fetch an experiment; what came before a break is kept, and the next try continues.

    Args:
        settings: of this node.
        blobs: of the shared store.
        experiment_id: the experiment.
        generation: None is the newest.
        said: called with the name of each file.

    Returns:
        Its directory. Its stages are in the local store: other experiments take them over.

    Raises:
        UnknownExperiment: the store does not have it.
        NodeBusy: this WORKDIR has an experiment of that id.
        CorruptArtifact: a file has other bytes than its index says; nothing was put in place.
    """
    document = sent_document(blobs, experiment_id, generation)
    directory = ExperimentDir(settings.experiments_dir, document.experiment_id)
    _refuse_present(settings, directory)
    _place(settings, blobs, document, directory, wanted=lambda _name: True, said=said)
    return directory


def newest_elsewhere(settings: Settings, experiment_id: str) -> int:
    """Newest generation of an experiment that the shared store has whole; 0 without one, or when it does not answer."""
    try:
        store = shared_store(settings)
        found = None if store is None else store.ask(lambda blobs: sent_generations(blobs, experiment_id))
    except (ProteinxError, OSError) as error:  # it cannot be opened: `proteinx doctor` says so
        log.warning("The shared store cannot be asked for %s: %s", experiment_id, error)
        return 0
    return max(found or (), default=0)


def bring_along(settings: Settings, experiment_id: str, generation: int) -> bool:
    """Bring the directory of an experiment before a generation begins that is not this WORKDIR's first of it.

    Large files stay: the stage store takes them over when a stage needs them. A store that does not answer, or has
    other bytes than its index says, costs what it would have saved.

    Args:
        settings: of this node.
        experiment_id: the experiment.
        generation: the one that begins.

    Returns:
        True if the directory came.
    """
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    if generation == 1 or settings.store is None or directory.root.exists():
        return False

    def bring(blobs: BlobStore) -> bool:
        document = sent_document(blobs, experiment_id, generation - 1)
        small = {name for name, fact in document.artifacts.items() if fact.size < LARGE_BYTES}
        _place(settings, blobs, document, directory, wanted=small.__contains__)
        return True

    try:
        store = shared_store(settings)
        came = store is not None and bool(store.ask(bring))
    except UnknownExperiment as error:  # it ended without a directory, or was not sent in time
        log.info("%s begins without a directory: %s", experiment_id, error)
        return False
    except (ProteinxError, OSError) as error:
        log.warning("%s begins without its directory of another node: %s", experiment_id, error)
        return False
    if came:
        log.info("%s goes on: its directory came from the shared store.", experiment_id)
    return came


def _place(
    settings: Settings,
    blobs: BlobStore,
    document: ExperimentDocument,
    directory: ExperimentDir,
    *,
    wanted: Callable[[str], bool],
    said: Callable[[str], None] = lambda _name: None,
) -> None:
    """Fetch the files that are wanted, put them in place at once, and the whole stages into the local store."""
    building = settings.experiments_dir / f".pulling-{document.experiment_id}-{document.generation}"
    for name in get_files(blobs, document, building, wanted=wanted):
        said(name)
    blobs.get(document_name(document.experiment_id, document.generation), building / DOCUMENT)
    try:
        pipeline = read_pipeline(_inside(building).pipeline)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        shutil.rmtree(building, ignore_errors=True)
        raise CorruptArtifact(
            f"{document.experiment_id} in the shared store is not as a node writes it: {error}"
        ) from error
    if directory.root.exists():
        raise _is_present(directory)
    building.rename(directory.root)
    store = StageStore(settings.paths.store_dir)
    for stage, entry in whole_stages(pipeline, directory).stages.items():
        store.put(stage, entry, directory)


def offer_everything(settings: Settings, offer: Callable[[ExperimentDir, int], None]) -> int:
    """Call `offer` with every ended experiment of this WORKDIR and its generation; returns their number."""
    count = 0
    for experiment_id in ExperimentDir.known_ids(settings.experiments_dir):
        directory = ExperimentDir(settings.experiments_dir, experiment_id)
        with contextlib.suppress(OSError, ValueError):  # one that cannot be read is nobody's
            document = read_experiment(directory)
            if document.status not in ("PENDING", "RUNNING"):
                offer(directory, document.generation)
                count += 1
    return count


def _inside(folder: Path) -> ExperimentDir:
    """A folder laid out as an experiment's."""
    return next(each for each in ExperimentDir.all(folder.parent) if each.root == folder)


def _refuse_present(settings: Settings, directory: ExperimentDir) -> None:
    known = settings.state_path.is_file() and Ledger(settings.state_path).latest(directory.experiment_id)
    if directory.root.exists() or known:
        raise _is_present(directory)


def _is_present(directory: ExperimentDir) -> NodeBusy:
    return NodeBusy(
        f"{directory.experiment_id} is an experiment of this WORKDIR already. Remove it with `proteinx experiment "
        "rm`, or set PROTEINX_WORKDIR to another folder."
    )
