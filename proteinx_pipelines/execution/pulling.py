"""Brings an ended experiment from the shared store into this WORKDIR, file by file, checked against its own index."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact, NodeBusy
from proteinx_pipelines.execution.pipeline_file import read_pipeline, whole_stages
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.experiments import get_files, sent_document
from proteinx_pipelines.files.shared.names import document_name
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.settings import Settings


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
    building = settings.experiments_dir / f".pulling-{document.experiment_id}-{document.generation}"
    for name in get_files(blobs, document, building):
        said(name)
    blobs.get(document_name(document.experiment_id, document.generation), building / DOCUMENT)
    try:
        pipeline = read_pipeline(_inside(building).pipeline)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        shutil.rmtree(building, ignore_errors=True)
        raise CorruptArtifact(
            f"{experiment_id} in the shared store is not as a node writes it: {error}"
        ) from error
    _refuse_present(settings, directory)
    building.rename(directory.root)
    store = StageStore(settings.paths.store_dir)
    for stage, entry in whole_stages(pipeline, directory).stages.items():
        store.put(stage, entry, directory)
    return directory


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
        raise NodeBusy(
            f"{directory.experiment_id} is an experiment of this WORKDIR already. Remove it with `proteinx experiment "
            "rm`, or set PROTEINX_WORKDIR to another folder."
        )
