"""The library that `design.library` asks for, and its predictions.

    variants of the kind (`library`, `given`, `sources`) -> rules -> without measured and excluded ones -> predictions

Choosing among them is the task of `choosing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proteinx_pipelines.errors import EmptySelection
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.design import library as libraries
from proteinx_pipelines.stages.design import shortfalls
from proteinx_pipelines.stages.design.acquisition import utility
from proteinx_pipelines.stages.design.candidates import Candidates, distinct, joined
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import FinalModel
from proteinx_pipelines.stages.design.given import from_files
from proteinx_pipelines.stages.design.inputs import DesignInputs
from proteinx_pipelines.stages.design.properties import predict_further
from proteinx_pipelines.stages.design.rules import GIVEN, Rules
from proteinx_pipelines.stages.design.sources import (
    chosen_sources,
    measured_elsewhere,
    measured_in_excluded,
    n_without_score,
    outside_of_first,
    unmeasured,
)
from proteinx_pipelines.stages.design.spread_library import predict_library_spread


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

    library = make_library(inputs, flags.design, rules, measured, offset, rank, files)
    made = library.candidates
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
    return Predicted(made, mean, deviation, wild_type, predict_further(model, made), library.notes)


@dataclass(frozen=True)
class Library:
    """Variants that may be proposed."""

    candidates: Candidates
    notes: tuple[str, ...]
    """What the flags ask for and the library has less of, in sentences."""


def make_library(
    inputs: DesignInputs, flags: DesignFlags, rules: Rules, measured: Measured, offset: int,
    rank: libraries.Rank, files: Sequence[Path] = (),
) -> Library:  # fmt: skip
    """Make the library: variants that satisfy every rule, without excluded, duplicate or (by default) measured ones.

    Raises:
        EmptySelection: nothing is left.
    """
    source, template = measured.candidates.source, measured.candidates.template
    sources = chosen_sources(flags, inputs.variants)
    notes = [
        *shortfalls.of_sources(outside_of_first(inputs.variants, sources), source),
        *shortfalls.of_positions(flags, rules, offset),
    ]
    if flags.library == "singles":
        made = libraries.singles(source, template, rules)
    elif flags.library == "doubles":
        ones = libraries.singles(source, template, rules)
        made = libraries.doubles(ones, flags.best, rank)
        notes += shortfalls.of_doubles(flags, ones.n)
    elif flags.library == "combinations":
        made = libraries.combinations(source, template, rules)
        notes += shortfalls.of_combinations(rules)
    elif flags.library == "recombine":
        score = np.where(np.isfinite(measured.target), utility(measured.target, flags.goal), np.nan)
        mutations, n_hits = libraries.best_mutations(measured.candidates, score, flags.best)
        most = libraries.most_combined(len(mutations), rules.most)
        made = libraries.recombine(source, template, mutations, most)
        notes += shortfalls.of_recombination(flags, mutations, n_hits, most)
    elif flags.library == "unmeasured":
        rows = unmeasured(inputs.selection, sources, template)
        notes += shortfalls.of_unscored(n_without_score(inputs.selection, sources), rows.n)
        made = distinct(rows)
    else:
        made = from_files(files, source, template, offset)
    before = made.n
    made = libraries.with_mutations(made, rules.must)
    n_given = made.n
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
    notes += shortfalls.of_given(flags, n_given, within, made.n)
    return Library(made, tuple(notes))


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
