"""Design stage: final model of all labelled rows, a library, its predictions, and a batch of proposals.

    rules -> library -> predictions -> acquisition -> batch with reasons

Intervals are calibrated on the held-out predictions of the evaluate stage. Measured and excluded variants are never
proposed. A changed acquisition chooses again from the stored predictions; `library_key` identifies them. This module
is the order of the steps; each step has a module of its own.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Design
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.design.asked_library import predict_library
from proteinx_pipelines.stages.design.describe import measured_of, predictions_table
from proteinx_pipelines.stages.design.earlier import earlier_design
from proteinx_pipelines.stages.design.final_fit import judged, make_final
from proteinx_pipelines.stages.design.final_model import save_final
from proteinx_pipelines.stages.design.inputs import DesignInputs, known_positions, make_objective
from proteinx_pipelines.stages.design.library_key import library_key
from proteinx_pipelines.stages.design.objective import for_target
from proteinx_pipelines.stages.design.properties import with_further
from proteinx_pipelines.stages.design.proposals import propose
from proteinx_pipelines.stages.design.rules import rules_of
from proteinx_pipelines.stages.design.sources import chosen_sources

SEQUENCES_UP_TO = 200_000
"""Largest table that lists whole sequences."""


def design_round(
    inputs: DesignInputs,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    published: ExperimentDir | None = None,
    weights: Path | None = None,
    files: Sequence[Path] = (),
    spread: Spread | None = None,
    read: Mapping[str, str] | None = None,
) -> Design:
    """Choose the variants to make next.

    Args:
        inputs: records of the experiment.
        flags: `design.*`; those of the model and representation, for the final model.
        directory: receives the model's folder and the scratch files of a network.
        monitor: receives progress; may stop the stage.
        published: folder of an earlier design of this experiment, if any; its model and predictions are reused when
        they are of the same library.
        weights: resolved checkpoint of a language model.
        files: resolved paths of `design.path`.
        spread: workers for the predictions of a large library; None predicts here.
        read: digests of what the stage reads; an earlier design is reused only with the same ones.

    Raises:
        FlagError: constraints contradict the protein or each other; every problem at once.
        EmptySelection: no variant is left to propose; the message names the conditions that removed them.
        BadVariants, MissingFile, MissingWeights: from reading or embedding variants.
    """
    several, flags = flags, flags.model_copy(update={"design": for_target(flags)})
    sources = chosen_sources(flags.design, inputs.variants)
    source, measured = sources[0], measured_of(inputs.variants, sources, flags.design.goal)
    objective = make_objective(inputs, several, sources)
    offset = inputs.variants.offsets.get(source, 0)
    rules = rules_of(
        flags.design, source, inputs.variants.templates[source], offset, known_positions(flags, measured)
    )
    folder, key = directory.final_model_dir, library_key(inputs, several, read or {})
    earlier = earlier_design(published, key, weights) if published is not None else None
    if earlier is not None:
        model, predicted, table = earlier.model, earlier.predicted(measured, offset), earlier.predictions
        shutil.copytree(published.final_model_dir, folder)  # type: ignore[union-attr]
        monitor.event("library_kept", variants=table.num_rows)
    else:
        monitor.progress(0, 1, "final model")
        model = make_final(inputs, flags, directory=directory, monitor=monitor, weights=weights)
        model = judged(model, inputs, flags, directory=directory, monitor=monitor)
        save_final(model, folder)
        predicted = predict_library(inputs, flags, model, rules, measured, offset, monitor, files, spread)
        table = predictions_table(
            predicted.candidates, predicted.mean, predicted.deviation, measured, model.intervals,
            wild_type=predicted.wild_type, offset=offset, goal=flags.design.goal,
            sequences=predicted.candidates.n <= SEQUENCES_UP_TO,
        )  # fmt: skip
        table = with_further(table, predicted.further)
    monitor.progress(0.9, 1, "proposals")
    proposals, facts = propose(
        predicted, measured, model, flags.design, offset=offset, folds=inputs.training.model_dirs,
        objective=objective,
    )  # fmt: skip
    report = {
        "source": source, "sources": list(sources), "excluded": list(flags.design.exclude),
        "excluded_sources": list(flags.design.exclude_sources), "files": list(flags.design.path or ()),
        "keeps_measured": flags.design.keep_measured, "library": flags.design.library, "library_key": key,
        "n_library": predicted.candidates.n, "wild_type": predicted.wild_type, "best_measured": measured.best,
        "library_notes": list(predicted.notes), "goal": several.groups(("design",))["design"]["goal"],
        "intervals": model.intervals.document(), "card": dict(model.card), **facts,
    }  # fmt: skip
    return Design(folder, table, proposals, report)
