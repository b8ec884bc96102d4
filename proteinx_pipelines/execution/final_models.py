"""Final model of a finished experiment: the one left by its design stage, or one made now and kept beside it.

An experiment without a design stage has no final model. The first question makes it: the same records and flags give
the same model as the design stage would. It is kept in `artifacts/model/final/`, with the keys of its
stages.
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from proteinx_pipelines.errors import ArtifactError, InputError
from proteinx_pipelines.execution.paths import fetched_path
from proteinx_pipelines.execution.stages import COMPUTATIONS, with_weights
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pipeline.entries import PipelineFile
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.design.final_fit import judged, make_final
from proteinx_pipelines.stages.design.final_model import FinalModel, load_final, save_final
from proteinx_pipelines.stages.design.inputs import DesignInputs
from proteinx_pipelines.stages.train.export import FittedModel

_MADE_OF = "made_of.json"
"""Name of the file beside the folder: keys of the stages it was made from. Not a part of an export."""
_JUDGED = "judges"
"""Entry of that file, if the models of other seeds and rows were fitted."""
_READS = ("selection", "transform", "embedding", "train", "evaluate")


def design_inputs(directory: ExperimentDir) -> DesignInputs:
    """Records of a finished experiment.

    Raises:
        MissingArtifact: a stage has no files; let the experiment finish first.
    """
    return DesignInputs(*(COMPUTATIONS[name].load(directory) for name in _READS))


def variants_of(directory: ExperimentDir) -> VariantTable:
    """The variants of a finished experiment, alone: reading the other records takes longer than a prediction.

    Raises:
        MissingArtifact: they have no files; let the experiment finish first.
    """
    found: VariantTable = COMPUTATIONS["transform"].load(directory)
    return found


def flags_of(directory: ExperimentDir) -> ExperimentFlags:
    """The flags of the experiment's current generation."""
    return parse_flags(directory.flags.read_bytes())


def weights_of(settings: Settings, flags: ExperimentFlags) -> Path | None:
    """The checkpoint of its language model on this node; None where it has none or the node lacks it."""
    return fetched_path(settings, "embedding.weights", flags.embedding.weights, confined=False)


def _resolved(settings: Settings, flags: ExperimentFlags) -> ExperimentFlags:
    """The flags, with `model.weights` as a path of this node."""
    path = fetched_path(settings, "model.weights", flags.model.weights, confined=False)
    return with_weights(flags, path)


def final_model_of(
    directory: ExperimentDir, pipeline: PipelineFile, settings: Settings, monitor: StageMonitor | None = None,
    *, judges: bool = False,
) -> FinalModel:  # fmt: skip
    """Return the experiment's final model; make it when there is none of its current stages.

    Args:
        directory: of the experiment.
        pipeline: its stages.
        settings: of this WORKDIR.
        monitor: receives progress.
        judges: with the models of other seeds and rows, which only proposals need.

    Raises:
        MissingArtifact: the experiment has not finished.
        FlagError: its representation cannot be made for a new sequence.
    """
    flags, folder = _resolved(settings, flags_of(directory)), directory.final_model_dir
    made_of: Mapping[str, Any] = {
        name: entry.key for name, entry in pipeline.stages.items() if name in _READS
    }
    weights, monitor = weights_of(settings, flags), monitor or StageMonitor()
    found = _stored(directory, pipeline, made_of, weights)
    if found is not None and (
        not judges or "design" in pipeline.stages or _JUDGED in read_json(_made_of(directory))
    ):
        return found
    with tempfile.TemporaryDirectory(dir=directory.artifacts_dir, prefix=".final-") as scratch:
        place, inputs = ExperimentDir(Path(scratch), directory.experiment_id), design_inputs(directory)
        model = found or make_final(inputs, flags, directory=place, monitor=monitor, weights=weights)
        if judges:
            model = judged(model, inputs, flags, directory=place, monitor=monitor)
        save_final(model, folder)
    write_json(_made_of(directory), {**made_of, **({_JUDGED: True} if judges else {})})
    return model


def model_to_propose(
    directory: ExperimentDir, settings: Settings, final: Literal["rows", "folds"], monitor: StageMonitor
) -> FinalModel:
    """The final model with those that judge proposals: of all rows, or the mean of the folds.

    The experiment keeps the kind that its own `design.final` names; the other one is made anew.

    Raises:
        MissingArtifact, FlagError: as `final_model_of`.
    """
    flags = _resolved(settings, flags_of(directory))
    if flags.design.final == final:
        return final_model_of(directory, read_pipeline(directory.pipeline), settings, monitor, judges=True)
    flags = flags.model_copy(update={"design": flags.design.model_copy(update={"final": final})})
    inputs, weights = design_inputs(directory), weights_of(settings, flags)
    with tempfile.TemporaryDirectory(dir=directory.artifacts_dir, prefix=".final-") as scratch:
        place = ExperimentDir(Path(scratch), directory.experiment_id)
        model = make_final(inputs, flags, directory=place, monitor=monitor, weights=weights)
        return judged(model, inputs, flags, directory=place, monitor=monitor)


def _stored(
    directory: ExperimentDir, pipeline: PipelineFile, made_of: Mapping[str, Any], weights: Path | None
) -> FinalModel | None:
    """The stored model if it is whole and of the current stages."""
    file = _made_of(directory)
    own = "design" in pipeline.stages  # the stage's own: the recompute rule keeps it current
    if not own and not file.is_file():
        return None
    if not own and {name: key for name, key in read_json(file).items() if name != _JUDGED} != made_of:
        return None
    try:
        return load_final(directory.final_model_dir, weights)
    except ArtifactError:
        shutil.rmtree(directory.final_model_dir, ignore_errors=True)  # damaged: it is made again
        return None


def _made_of(directory: ExperimentDir) -> Path:
    return directory.final_model_dir.with_name(_MADE_OF)


def export_folds(directory: ExperimentDir, settings: Settings, folder: Path) -> None:
    """Write the mean of the experiment's cross-validated models as a model folder.

    Raises:
        MissingArtifact: the experiment has not finished.
        FlagError: its representation cannot be made for a new sequence. InputError: as `refuse_kept_predictions`.
    """
    flags = _resolved(settings, flags_of(directory))
    flags = flags.model_copy(update={"design": flags.design.model_copy(update={"final": "folds"})})
    model = make_final(
        design_inputs(directory), flags, directory=directory, monitor=StageMonitor(),
        weights=weights_of(settings, flags),
    )  # fmt: skip
    refuse_kept_predictions(model.model)
    save_final(model, folder)


def refuse_kept_predictions(model: FittedModel) -> None:
    """Refuse to export what predicts no other sequence.

    Raises:
        InputError: a plugin's model has no `export` and `restore`; the message says so.
    """
    from proteinx_pipelines.stages.train.user_model import KeptPredictions

    for each in (model, *model.members()):
        if isinstance(each.predictor, KeptPredictions):
            raise InputError(each.predictor.why)
