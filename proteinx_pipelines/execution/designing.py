"""Questions to a finished experiment's model: values of variants, and variants to make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from proteinx_pipelines.edits import has_indels
from proteinx_pipelines.errors import BadVariants, FlagError
from proteinx_pipelines.execution.excluded_sources import excluded_variants
from proteinx_pipelines.execution.final_models import (
    design_inputs,
    final_model_of,
    flags_of,
    model_to_propose,
    variants_of,
)
from proteinx_pipelines.execution.paths import every_path, fetched_path
from proteinx_pipelines.experiment_dir.codecs.evaluate import PROBABILITY
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.pipeline.stages import paths_of
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.design import library as libraries
from proteinx_pipelines.stages.design.asked_library import predict_library
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.describe import measured_of, predictions_table
from proteinx_pipelines.stages.design.given import read_file, strange_residues
from proteinx_pipelines.stages.design.inputs import known_positions, make_objective
from proteinx_pipelines.stages.design.objective import for_target
from proteinx_pipelines.stages.design.properties import predict_further, with_further
from proteinx_pipelines.stages.design.proposals import propose as chosen_proposals
from proteinx_pipelines.stages.design.rules import rules_of
from proteinx_pipelines.stages.design.sources import chosen_sources
from proteinx_pipelines.variant_files.columns import looks_like_sequence
from proteinx_pipelines.variant_files.notation import MALFORMED, NotRead, read_mutant

_SHOWN = 10
_OF_SCORES = ("deviation", "low", "high", "p_better_than_wild_type", "p_better_than_best")
"""Columns of predictions that have no meaning for classes."""
_NO_PROPOSALS = (
    "`transform.bins`: the experiment's targets are classes, and proposals rank scores. Train on the scores "
    "themselves, or rank what `proteinx predict` gives by `p_at_least_1`."
)


@dataclass(frozen=True)
class Asked:
    """Variants to predict; exactly one field is set."""

    file: Path | None = None
    """Variants in any form that the import reads."""
    mutants: Sequence[str] = ()
    """Mutants or whole sequences, as people write them."""
    singles: bool = False
    """Every single mutant."""


def predict(
    settings: Settings,
    directory: ExperimentDir,
    asked: Asked,
    source: str | None = None,
    monitor: StageMonitor | None = None,
) -> pa.Table:
    """Values of variants by the experiment's final model.

    Args:
        settings: of this WORKDIR.
        directory: of a finished experiment.
        asked: the variants to predict.
        source: source of the variants; needed where the experiment has several.
        monitor: receives progress.

    Returns:
        The columns of `stages.design.describe.predictions_table`, one row a variant, in the order asked. Of a model of
        classes, `p_at_least_1`, ... instead of intervals and of the chances to be better than others.

    Raises:
        BadVariants: a variant cannot be read, or does not fit the template; the first of them are named.
        FlagError: the source is not named; the representation cannot be made for a new sequence.
        MissingArtifact: the experiment has not finished.
    """
    variants, flags = variants_of(directory), flags_of(directory)
    name = chosen_sources(DesignFlags(source=None if source is None else (source,)), variants)[0]
    template, offset = variants.templates[name], variants.offsets.get(name, 0)
    measured = measured_of(variants, name, "maximize")
    if asked.file is not None:
        candidates = read_file(asked.file, name, template, offset)
    elif asked.singles:
        rules = rules_of(DesignFlags(), name, template, offset, known_positions(flags, measured))
        candidates = libraries.singles(name, template, rules)
    else:
        candidates = candidates_of(name, template, read_asked(asked.mutants, template, offset))
    model = final_model_of(directory, read_pipeline(directory.pipeline), settings, monitor)
    mean, deviation = model.predict(candidates, monitor)
    wild_type = (
        measured.wild_type if measured.has_wild_type else float(model.predict(_template(candidates))[0][0])
    )
    table = predictions_table(
        candidates,
        mean,
        deviation,
        measured,
        model.intervals,
        wild_type=wild_type,
        offset=offset,
        goal="maximize",
    )
    if (classes := model.model.classes) is not None:
        table = of_classes(table, classes.probabilities(mean))
    return with_further(table, predict_further(model, candidates))


def of_classes(table: pa.Table, probability: np.ndarray) -> pa.Table:
    """Probabilities of reaching each threshold (float64 [n, K]) in place of what has a meaning for scores alone."""
    table = table.drop_columns([name for name in _OF_SCORES if name in table.column_names])
    at = table.column_names.index("prediction") + 1
    for cut in range(probability.shape[1], 0, -1):
        table = table.add_column(at, f"{PROBABILITY}{cut}", pa.array(probability[:, cut - 1]))
    return table


def propose(
    settings: Settings, directory: ExperimentDir, chosen: DesignFlags, monitor: StageMonitor | None = None,
) -> tuple[pa.Table, list[str]]:  # fmt: skip
    """Variants to make next, by the experiment's final model.

    Args:
        settings: of this WORKDIR.
        directory: of a finished experiment.
        chosen: `design.*`; `library` names the candidates.
        monitor: receives progress.

    Returns:
        The columns of `stages.design.proposals.propose`; and what the flags ask for and is not there, in sentences.

    Raises:
        EmptySelection: no variant is left to propose.
        FlagError: the experiment's targets are classes; or as `predict`. BadVariants, MissingArtifact: as `predict`.
    """
    several = flags_of(directory).model_copy(update={"design": chosen})
    if several.transform.bins:
        raise FlagError([_NO_PROPOSALS])
    excluded = excluded_variants(chosen, lambda: settings.database_path)
    inputs = replace(design_inputs(directory), excluded=excluded)
    chosen = for_target(several)
    flags = several.model_copy(update={"design": chosen})
    sources = chosen_sources(chosen, inputs.variants)
    source, measured = sources[0], measured_of(inputs.variants, sources, chosen.goal)
    offset = inputs.variants.offsets.get(source, 0)
    files = every_path(paths_of(flags, "design.path"), partial(fetched_path, settings, confined=False))
    rules = rules_of(
        chosen, source, inputs.variants.templates[source], offset, known_positions(flags, measured)
    )
    watching = monitor or StageMonitor()
    model = model_to_propose(directory, settings, chosen.final, watching)
    predicted = predict_library(inputs, flags, model, rules, measured, offset, watching, files)
    table, facts = chosen_proposals(
        predicted, measured, model, chosen, offset=offset, folds=inputs.training.model_dirs,
        objective=make_objective(inputs, several, sources),
    )  # fmt: skip
    return table, facts["notes"]


def design_flags(
    directory: ExperimentDir, chosen: Mapping[str, object], overrides: Sequence[str] = ()
) -> DesignFlags:
    """Flags of a question to a finished experiment, whose properties are known.

    Args:
        directory: of the experiment.
        chosen: flags of `design.*`, by their names without the group, plain JSON.
        overrides: pairs like `design.n=12` that win over them.

    Raises:
        FlagError: a flag has an unusable value; all of them are named.
    """
    data = flags_of(directory).data
    own = {"source": list(data.source), "score": data.score, "properties": list(data.properties)}
    return parse_flags({"data": own, "design": dict(chosen)}, overrides).design


def not_taken_over(directory: ExperimentDir, chosen: DesignFlags) -> str:
    """A sentence that names flags of the experiment's own design which a question to it does not follow.

    Args:
        directory: of the experiment.
        chosen: flags of the question; those that were written are no surprise.
    """
    own = flags_of(directory).design
    fields = DesignFlags.model_fields
    names = [
        f"`design.{name}`"
        for name in fields
        if getattr(own, name) not in (fields[name].get_default(), getattr(chosen, name))
        and name not in chosen.model_fields_set
    ]
    if own.library is None or not names:
        return ""
    return f"The experiment's own design has other flags, which do not hold here: {', '.join(names)}."


def _template(candidates: Candidates) -> Candidates:
    none = np.zeros(0, np.int64)
    return Candidates(candidates.source, candidates.template, 1, none, none, none.astype(np.uint8))


def read_asked(asked: Sequence[str], template: str, offset: int) -> list[str]:
    """Read mutants or whole sequences, as people write them, as mutants in positions of the template.

    Raises:
        BadVariants: some cannot be read; the first of them are named.
    """
    found, bad = [], []
    for text in asked:
        try:
            mutant = _as_sequence(text, template) or read_mutant(text, template, offset).mutant
        except NotRead as error:
            bad.append(f"{text!r}: {error}")
            continue
        if has_indels(mutant):
            bad.append(f"{text!r} has an insertion or deletion; substitutions are expected")
        elif unknown := strange_residues(mutant):
            bad.append(f"{text!r} puts in {unknown}; one of {AMINO_ACIDS} is expected")
        found.append(mutant)
    if bad:
        more = f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
        raise BadVariants(f"Variants that cannot be read: {'; '.join(bad[:_SHOWN])}{more}.")
    return found


def _as_sequence(text: str, template: str) -> str | None:
    """Mutant that a whole sequence is, in any case; None for a text that is none.

    Raises:
        NotRead: it is a sequence of another length.
    """
    if not (looks_like_sequence(text) or (len(text) == len(template) and text.isalpha())):
        return None
    sequence = text.strip().upper().removesuffix("*")
    if len(sequence) != len(template):
        raise NotRead(MALFORMED, f"a sequence of {len(sequence)} residues; the template has {len(template)}")
    changes = [f"{a}{at}{b}" for at, (a, b) in enumerate(zip(template, sequence, strict=True), 1) if a != b]
    return ":".join(changes) or WILD_TYPE
