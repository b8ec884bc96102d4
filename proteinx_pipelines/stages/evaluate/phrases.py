"""Phrases about the experiment: title, selection and split.

Every sentence is built from flags and records, so a report cannot describe another experiment. The methods paragraph
is in `methods`, references are in `citations`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from proteinx_pipelines.flags.base import CountRange, Range
from proteinx_pipelines.flags.data import Condition, DataFlags
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.flags.tree import ExperimentFlags


def title_of(flags: ExperimentFlags) -> str:
    """One line that names the data, the model and the representation."""
    sources = flags.data.source
    data = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    data += f" ({flags.data.score})" if flags.data.score is not None else ""
    return f"{data}: {flags.model.name} on {' + '.join((flags.embedding.name, *flags.embedding.also))}"


def query_in_words(flags: DataFlags) -> str:
    """The selection as one sentence."""
    property_ = f", by their {flags.score}" if flags.score is not None else ""
    parts = [f"All variants of {', '.join(flags.source)}{property_}", *_conditions(flags)]
    sentence = " ".join(parts) if len(parts) == 1 else f"{parts[0]} {', and '.join(parts[1:])}"
    drawn = f"; {flags.limit:,} of them drawn at random (seed {flags.seed})" if flags.limit else ""
    return f"{sentence}{drawn}."


def _conditions(flags: DataFlags) -> Iterator[str]:
    if mutations := _between(flags.mut_num):
        yield f"with {mutations} mutations"
    if score := _between(flags.dms_score):
        yield f"with a DMS score of {score}"
    if flags.dms_score_bin:
        yield f"with DMS_score_bin {' or '.join(flags.dms_score_bin)}"
    yield from (f"where {_condition(condition)}" for condition in flags.where)


def _between(interval: Range | CountRange) -> str:
    low, high = interval.min, interval.max
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""
    return f"{low:g} to {high:g}" if low != high else f"exactly {low:g}"


def _condition(condition: Condition) -> str:
    value = condition.value
    shown = " and ".join(map(str, value)) if condition.op == "between" and isinstance(value, tuple) else value
    if condition.op == "in" and isinstance(value, tuple):
        shown = ", ".join(map(str, value))
    return f"{condition.column} {condition.op}" + ("" if value is None else f" {shown}")


def split_in_words(flags: ExperimentFlags, n_folds: int) -> str:
    """The split as a noun phrase."""
    split = flags.split
    kinds = {
        "random": f"at random (seed {split.seed})",
        "stratified": f"at random within {split.bins} bins of the target (seed {split.seed})",
        "by_position": f"by mutated position, in random groups (seed {split.seed})",
        "leave_one_position_out": "that leaves out one mutated position at a time",
        "leave_p_out": f"that leaves out {_left_out(split)} at a time",
        "clusters": f"by clusters of sequences at identity {split.identity:g} (single linkage, seed {split.seed})",
        "by_source": f"by source (tested: {', '.join(split.test_sources or ('each',))})",
        "n_vs_rest": f"by number of mutations (up to {split.n} for training, more for testing)",
        "modulo": "by mutated position, modulo the number of folds",
        "contiguous": "by mutated position, in contiguous runs",
        "low_vs_high": "by score (low for training, high for testing)",
        "file": f"as column '{split.column}' of a given file says",
    }
    how = kinds.get(split.method, f"by the method '{split.method}'")
    if n_folds == 1:
        return f"a single split {how}"
    n_passes = split.inner_folds or split.repeats
    kind = f"{n_folds // n_passes}-fold cross-validation" if n_folds > n_passes else "a single split"
    if split.repeats > 1:
        return f"{kind} {how}, repeated {split.repeats} times with other seeds"
    inner = f", with {split.inner_folds} inner folds for validation" if split.inner_folds else ""
    return f"{kind} {how}{inner}"


def _left_out(split: SplitFlags) -> str:
    return f"one {split.held_out.removesuffix('s')}" if split.p == 1 else f"{split.p} {split.held_out}"


def sets_in_words(info: Mapping[str, Any]) -> list[str]:
    """Says how many sets of `leave_p_out` were left out, and of how many; empty for other methods.

    Args:
        info: of the split.
    """
    if "sets_possible" not in info:
        return []
    of = "more than 10^15" if info["sets_possible"] is None else f"{info['sets_possible']:,}"
    if info["sets_drawn"]:
        return [f"{info['sets']:,} of {of} possible sets were drawn."]
    if info["sets_without_variants"]:
        return [f"{info['sets_without_variants']:,} of {of} possible sets hold no variant's mutations whole."]
    return []
