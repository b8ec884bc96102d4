"""Final model of a finished experiment: the one left by its design stage, or one made now and kept beside it.

An experiment without a design stage has no final model. The first question makes it: the same records and flags give
the same model as the design stage would. It is kept in `artifacts/model/final/`, with the keys of its
stages.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import ArtifactError
from proteinx_pipelines.execution.paths import fetched_path
from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pipeline.entries import PipelineFile
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.design.design import DesignInputs, make_final
from proteinx_pipelines.stages.design.final_model import FinalModel, load_final, save_final

_MADE_OF = "made_of.json"
"""Name of the file beside the folder: keys of the stages it was made from. Not a part of an export."""
_READS = ("selection", "transform", "embedding", "train", "evaluate")


def design_inputs(directory: ExperimentDir) -> DesignInputs:
    """Records of a finished experiment.

    Raises:
        MissingArtifact: a stage has no files; let the experiment finish first.
    """
    return DesignInputs(*(COMPUTATIONS[name].load(directory) for name in _READS))


def flags_of(directory: ExperimentDir) -> ExperimentFlags:
    """The flags of the experiment's current generation."""
    return parse_flags(directory.flags.read_bytes())


def weights_of(settings: Settings, flags: ExperimentFlags) -> Path | None:
    """The checkpoint of its language model on this node; None where it has none or the node lacks it."""
    return fetched_path(settings, "embedding.weights", flags.embedding.weights, confined=False)


def final_model_of(
    directory: ExperimentDir, pipeline: PipelineFile, settings: Settings, monitor: StageMonitor | None = None
) -> FinalModel:
    """Return the experiment's final model; make it when there is none of its current stages.

    Raises:
        MissingArtifact: the experiment has not finished.
        FlagError: its representation cannot be made for a new sequence.
    """
    flags, folder = flags_of(directory), directory.final_model_dir
    made_of: Mapping[str, Any] = {
        name: entry.key for name, entry in pipeline.stages.items() if name in _READS
    }
    weights = weights_of(settings, flags)
    if _is_current(directory, pipeline, made_of):
        try:
            return load_final(folder, weights)
        except ArtifactError:
            shutil.rmtree(folder, ignore_errors=True)  # damaged: it is made again
    with tempfile.TemporaryDirectory(dir=directory.artifacts_dir, prefix=".final-") as scratch:
        model = make_final(
            design_inputs(directory), flags, directory=ExperimentDir(Path(scratch), directory.experiment_id),
            monitor=monitor or StageMonitor(), weights=weights,
        )  # fmt: skip
        save_final(model, folder)
    write_json(folder.with_name(_MADE_OF), made_of)
    return model


def export_folds(directory: ExperimentDir, settings: Settings, folder: Path) -> None:
    """Write the mean of the experiment's cross-validated models as a model folder.

    Raises:
        MissingArtifact: the experiment has not finished.
        FlagError: its representation cannot be made for a new sequence.
    """
    flags = flags_of(directory)
    flags = flags.model_copy(update={"design": flags.design.model_copy(update={"final": "folds"})})
    model = make_final(
        design_inputs(directory), flags, directory=directory, monitor=StageMonitor(),
        weights=weights_of(settings, flags),
    )  # fmt: skip
    save_final(model, folder)


def _is_current(directory: ExperimentDir, pipeline: PipelineFile, made_of: Mapping[str, Any]) -> bool:
    if "design" in pipeline.stages:
        return True  # the stage's own: the recompute rule keeps it current
    file = directory.final_model_dir.with_name(_MADE_OF)
    return file.is_file() and read_json(file) == made_of
