"""Design stage: final model of all labelled rows, a library, its predictions, and a batch of proposals.

    rules -> library -> predictions -> acquisition -> batch with reasons

Intervals are calibrated on the held-out predictions of the evaluate stage. Measured and excluded variants are never
proposed. A changed acquisition chooses again from the stored predictions; `library_key` identifies them.
"""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from proteinx_pipelines.domain.embedders import is_language_model
from proteinx_pipelines.errors import EmptySelection
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import (
    PROPERTY,
    Design,
    Embedding,
    Evaluation,
    Selection,
    Training,
    VariantTable,
)
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.design import DESIGN_VERSION
from proteinx_pipelines.stages.design import library as libraries
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.candidates import Candidates, distinct, joined
from proteinx_pipelines.stages.design.describe import Measured, measured_of, predictions_table
from proteinx_pipelines.stages.design.earlier import Predicted, earlier_design
from proteinx_pipelines.stages.design.final_model import (
    FinalModel,
    final_model,
    fit_final,
    median_epochs,
    refuse_without_vectors,
    save_final,
    with_judges,
    with_properties,
    with_weights,
)
from proteinx_pipelines.stages.design.given import from_files
from proteinx_pipelines.stages.design.intervals import Intervals, calibrate, calibrate_for
from proteinx_pipelines.stages.design.objective import Objective, for_target, objective_of, single_goal
from proteinx_pipelines.stages.design.properties import (
    fit_property,
    predict_further,
    variants_of,
    with_further,
)
from proteinx_pipelines.stages.design.proposals import propose
from proteinx_pipelines.stages.design.rules import GIVEN, Rules, rules_of
from proteinx_pipelines.stages.design.sources import (
    chosen_sources,
    measured_elsewhere,
    measured_in_excluded,
    unmeasured,
)
from proteinx_pipelines.stages.design.spread_library import predict_library_spread
from proteinx_pipelines.stages.design.stability import fit_judges
from proteinx_pipelines.stages.train.export import FittedModel, combined, load_model

_OF_THE_CHOICE = (
    "acquisition", "beta", "n", "diversity", "most_per_position", "controls", "plate", "seed", "batching", "explore",
    "wells_each", "combine", "weights",
)  # fmt: skip
"""Flags that only choose among predictions; changing them does not repeat the predictions."""
SEQUENCES_UP_TO = 200_000
"""Largest table that lists whole sequences."""


@dataclass(frozen=True)
class DesignInputs:
    """Input records of the stage."""

    selection: Selection
    variants: VariantTable
    embedding: Embedding
    training: Training
    evaluation: Evaluation
    excluded: VariantTable | None = None
    """Measured variants of the sources of `design.exclude_sources`."""


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
        "goal": several.groups(("design",))["design"]["goal"],
        "intervals": model.intervals.document(), "card": dict(model.card), **facts,
    }  # fmt: skip
    return Design(folder, table, proposals, report)


def make_final(
    inputs: DesignInputs,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    weights: Path | None,
) -> FinalModel:
    """Make the final model, of all labelled rows or of the folds, and calibrate its deviations on held-out predictions.

    Raises:
        FlagError: the representation cannot be made for a new sequence.
    """
    from proteinx_pipelines.stages.design.cards import model_card  # imports the report's words

    if flags.design.final == "folds":
        refuse_without_vectors(flags)
        fitted = combined([load_model(folder) for folder in inputs.training.model_dirs])
    else:
        fitted = fit_final(
            inputs.variants, inputs.embedding, flags, directory=directory, monitor=monitor,
            epochs=median_epochs(inputs.training.info.get("folds", ())),
        )  # fmt: skip
    intervals = held_out_intervals(inputs, fitted)
    card = model_card(inputs.variants, flags, inputs.evaluation.report, intervals)
    evidence = inputs.embedding.evidence
    model = with_weights(
        final_model(fitted, inputs.variants, flags, intervals, card, evidence=evidence), weights
    )
    further = {
        name: fit_property(
            name,
            inputs.selection,
            flags,
            model.layout,
            directory=directory,
            monitor=monitor,
            weights=weights,
            evidence=evidence,
        )
        for name in flags.data.properties
    }
    return with_properties(model, further)


def judged(
    model: FinalModel,
    inputs: DesignInputs,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
) -> FinalModel:
    """The model with those of other seeds and rows, by which the stability of proposals is judged."""
    judges = fit_judges(inputs.variants, inputs.embedding, flags, directory=directory, monitor=monitor)
    return with_judges(model, judges)


def make_objective(inputs: DesignInputs, flags: ExperimentFlags, sources: Sequence[str]) -> Objective:
    """The goals of the design, with the best measured value of each property.

    Raises:
        UnknownScore: a goal is of a property that the selection lacks.
    """
    goals = objective_of(flags).goals
    best = {
        name: measured_of(variants_of(inputs.selection, name, flags), sources, single_goal(goal)).best
        for name, goal in goals.items()
        if name in flags.data.properties
    }
    return objective_of(flags, best)


def held_out_intervals(inputs: DesignInputs, fitted: FittedModel) -> Intervals:
    """Calibrate intervals of the final model on the test predictions of the cross-validated models."""
    test = inputs.evaluation.predictions.filter(
        pc.equal(inputs.evaluation.predictions.column("part"), "test")
    )
    split = inputs.evaluation.report["split"]["words"]
    measured, predicted = (
        test.column(name).to_numpy(zero_copy_only=False).astype(np.float64)
        for name in ("target", "prediction")
    )
    if "deviation" not in test.column_names:
        return calibrate(measured, predicted, None, split)
    deviation = test.column("deviation").to_numpy(zero_copy_only=False).astype(np.float64)
    fold = test.column("fold").to_numpy(zero_copy_only=False).astype(np.int64)
    models = [load_model(folder) for folder in inputs.training.model_dirs]
    return calibrate_for(fitted, measured, predicted, deviation, fold, models, split)


def known_positions(flags: ExperimentFlags, measured: Measured) -> np.ndarray:
    """Positions that may change, int64 from 1: those changed by labelled variants.

    All of them for a language model, and for variants that are given.
    """
    if is_language_model(flags.embedding.name) or flags.design.library in GIVEN:
        return np.arange(1, len(measured.candidates.template) + 1)
    return np.flatnonzero(measured.seen.sum(axis=1) > 1) + 1


def library_key(inputs: DesignInputs, flags: ExperimentFlags, read: Mapping[str, str]) -> str:
    """SHA-256 of everything the library's predictions depend on; excludes the flags that choose among them.

    `read` has what no flag tells: files of variants and weights under the same name, the held-out predictions that
    calibrate the deviations, the cross-validated models.
    """
    design = {
        name: value
        for name, value in flags.groups(("design",))["design"].items()
        if name not in _OF_THE_CHOICE
    }
    digest = hashlib.sha256(
        np.ascontiguousarray(inputs.variants.column("target").astype(np.float64)).tobytes()
    )
    digest.update("\n".join(inputs.variants.rows.column("id").to_pylist()).encode())
    for name in inputs.selection.rows.column_names:
        if name.startswith(PROPERTY):
            values = inputs.selection.rows.column(name).to_numpy().astype(np.float64)
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    if inputs.excluded is not None:
        digest.update("\n".join(inputs.excluded.rows.column("id").to_pylist()).encode())
        digest.update(sha256_of(dict(inputs.excluded.templates)).encode())
    rest: Mapping[str, Any] = flags.groups(("embedding", "model", "train", "trainer"))
    return sha256_of(
        {
            "version": DESIGN_VERSION, "design": design, **rest, "rows": digest.hexdigest(), "read": dict(read),
        }
    )  # fmt: skip


def predict_library(
    inputs: DesignInputs, flags: ExperimentFlags, model: FinalModel, rules: Rules, measured: Measured, offset: int,
    monitor: StageMonitor, files: Sequence[Path], spread: Spread | None = None,
) -> Predicted:  # fmt: skip
    """Make the library and predict all of it.

    Raises:
        EmptySelection: nothing is left to propose.
    """

    def rank(candidates: Candidates) -> np.ndarray:
        return utility(model.predict(candidates)[0], flags.design.goal)

    made = make_library(inputs, flags.design, rules, measured, offset, rank, files)
    template = Candidates(
        measured.candidates.source,
        measured.candidates.template,
        1,
        made.row[:0],
        made.position[:0],
        made.residue[:0],
    )
    wild_type = measured.wild_type if measured.has_wild_type else float(model.predict(template)[0][0])
    mean, deviation = predict_library_spread(model, made, monitor, spread)
    return Predicted(made, mean, deviation, wild_type, predict_further(model, made))


def make_library(
    inputs: DesignInputs, flags: DesignFlags, rules: Rules, measured: Measured, offset: int,
    rank: libraries.Rank, files: Sequence[Path] = (),
) -> Candidates:  # fmt: skip
    """Make the library: variants that satisfy every rule, without excluded, duplicate or (by default) measured ones.

    Raises:
        EmptySelection: nothing is left.
    """
    source, template = measured.candidates.source, measured.candidates.template
    if flags.library == "singles":
        made = libraries.singles(source, template, rules)
    elif flags.library == "doubles":
        made = libraries.doubles(source, template, rules, flags.best, rank)
    elif flags.library == "combinations":
        made = libraries.combinations(source, template, rules)
    elif flags.library == "recombine":
        score = np.where(np.isfinite(measured.target), utility(measured.target, flags.goal), np.nan)
        made = libraries.recombine(measured.candidates, score, rules, flags.best)
    elif flags.library == "unmeasured":
        made = unmeasured(inputs.selection, chosen_sources(flags, inputs.variants), template)
    else:
        made = from_files(files, source, template, offset)
    before = made.n
    made = libraries.with_mutations(made, rules.must)
    if flags.library not in GIVEN or rules.is_asked_for(flags):
        made = made.take(np.flatnonzero(rules.keep(made)))
    within = made.n
    keeps_measured = flags.keep_measured and flags.library == "file"
    made = distinct(made, _known(inputs, rules, measured, labelled=not keeps_measured))
    if not keeps_measured:
        made = made.take(np.flatnonzero(made.counts > 0))
    if made.n == 0:
        raise EmptySelection(
            f"`design.library` {flags.library} has no variant to propose: {_why_empty(flags, before, within)}"
        )
    return made


_WITHOUT_ANY = {
    "unmeasured": "every selected row has a score. Import rows without one, or take another library.",
    "file": "the file has no variant. Give one with variants.",
    "recombine": "no measured variant has mutations that can be recombined. Take another library.",
}


def _why_empty(flags: DesignFlags, before: int, within: int) -> str:
    """Why nothing is left of a library of `before` variants, `within` of which hold the rules, and what to do."""
    allow = "Allow more positions, residues or mutations."
    if before == 0:
        return _WITHOUT_ANY.get(
            flags.library or "", f"the rules of `design.*` leave no residue at any position. {allow}"
        )
    if within == 0:
        return f"none of {before:,} holds the rules of `design.*`. {allow}"
    return f"of {before:,}, {within:,} hold the rules of `design.*`, and all of those are measured or excluded. {allow}"


def _known(inputs: DesignInputs, rules: Rules, measured: Measured, *, labelled: bool) -> Candidates:
    """Variants that must not be proposed: the excluded ones, and labelled ones of any source if they count."""
    own = measured.candidates
    known = [rules.excluded, measured_in_excluded(inputs.excluded, own)]
    if labelled:
        known += [
            own.take(np.flatnonzero(np.isfinite(measured.target))),
            measured_elsewhere(inputs.variants, own),
        ]
    return joined(known)
