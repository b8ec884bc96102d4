"""Pool of a simulated campaign: the measured variants that `design.*` lets a laboratory make.

Every flag of `design.*` is in one of three tables: it restricts the pool, is a part of the rule, or is refused with the
reason. A variant outside of the pool is neither in the first plate nor chosen later, and is not the best to find.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.design.candidates import Candidates, joined
from proteinx_pipelines.stages.design.rules import Rules, rules_of
from proteinx_pipelines.stages.design.sources import measured_in_excluded

RESTRICTING = (
    "source", "library", "exclude", "exclude_sources", "positions", "fixed", "allowed", "forbidden", "must_have",
    "must_not", "cysteines", "max_mutations", "coding_sequence", "codons", "most_clones",
)  # fmt: skip
"""Flags that say which measured variants may be made."""
OF_THE_RULE = (
    "goal", "acquisition", "beta", "diversity", "batching", "explore", "most_per_position",
)  # fmt: skip
"""Flags by which a plate is chosen."""
_MADE = "its variants are made or predicted anew, and a campaign chooses among measured ones"
_LIBRARIES = {
    "doubles": f"{_MADE}; `data.mut_num.min=2 data.mut_num.max=2` keeps double mutants",
    "recombine": _MADE,
    "unmeasured": "a campaign has to look their scores up",
    "file": f"{_MADE}; `design.exclude` and the other constraints restrict them",
}
_WELLS = "a simulation counts variants, not wells"
_ONE_GOAL = "a campaign is simulated for one property and one goal"
NOT_SIMULATED: Mapping[str, str] = {
    "path": _LIBRARIES["file"],
    "keep_measured": "a variant is measured once",
    "best": _MADE,
    "combine": _ONE_GOAL,
    "weights": _ONE_GOAL,
    "final": "the model of each round is trained on every measured variant",
    "n": "--batch says how many variants a plate has",
    "controls": _WELLS,
    "wells_each": _WELLS,
    "plate": _WELLS,
    "seed": "each campaign has a seed of its own, from --first-seed on",
}
"""Flags without a meaning in a simulated campaign, and why."""
_OTHER_SOURCE = "`design.source` names {named}; the campaign is simulated on {source}. Leave it out."
_NO_CATALOG = (
    "`design.exclude_sources` names {named}; there is no catalog here to read them from. Name their variants in "
    "`design.exclude`."
)


def refuse_unsimulated(design: DesignFlags, batches: Sequence[int]) -> None:
    """Refuse flags that a simulated campaign cannot follow.

    Args:
        design: of the rule.
        batches: variants of a plate; `design.n` may name one of them.

    Raises:
        FlagError: every such flag with its reason.
    """
    problems = [
        f"`design.{name}`: {why}. Leave it out."
        for name, why in NOT_SIMULATED.items()
        if _is_written(design, name) and not _is_followed(design, name, batches)
    ]
    if design.library in _LIBRARIES:
        problems.append(
            f"`design.library` {design.library}: {_LIBRARIES[design.library]}. Leave it out, or write singles or "
            "combinations."
        )
    if problems:
        raise FlagError(problems)


def in_pool(
    candidates: Candidates, design: DesignFlags, offset: int, excluded: VariantTable | None = None
) -> np.ndarray:
    """Variants that may be made, bool [n].

    Args:
        candidates: n measured variants.
        design: constraints, positions in the user's numbering; one that is not given removes nothing.
        offset: position in the user's numbering minus position in the template.
        excluded: measured variants of `design.exclude_sources`.

    Raises:
        FlagError: constraints contradict the protein; `design.source` is another one, or rows of
            `design.exclude_sources` are of another protein or were not read; every problem at once where it can be.
    """
    if design.source not in (None, (candidates.source,)):
        named = ", ".join(design.source or ())
        raise FlagError([_OTHER_SOURCE.format(named=named, source=candidates.source)])
    if design.exclude_sources and excluded is None:
        raise FlagError([_NO_CATALOG.format(named=", ".join(design.exclude_sources))])
    kept = np.ones(candidates.n, bool)
    every = np.arange(1, len(candidates.template) + 1)
    rules = rules_of(design, candidates.source, candidates.template, offset, every)
    if _is_constrained(design):
        is_told = _is_written(design, "max_mutations")
        most = rules.most if is_told else int(candidates.counts.max(initial=0))
        kept &= replace(rules, most=most).keep(candidates)
    if design.library == "singles":
        kept &= candidates.counts <= 1
    left_out = joined([rules.excluded, measured_in_excluded(excluded, candidates)])
    return kept & ~np.isin(keys_of(candidates), keys_of(left_out))


def keys_of(candidates: Candidates) -> np.ndarray:
    """One sortable key for each variant, [n]; equal for equal variants of a source only."""
    return np.ascontiguousarray(candidates.keys()).view([("a", np.uint64), ("b", np.uint64)]).ravel()


def _is_constrained(design: DesignFlags) -> bool:
    return Rules.is_asked_for(design) or _is_written(design, "max_mutations")


def _is_written(design: DesignFlags, name: str) -> bool:
    """True if a flag is not at its default, or was written so; a document of every flag writes none."""
    fields, given = type(design).model_fields, design.model_fields_set
    return getattr(design, name) != fields[name].get_default() or (name in given and given != set(fields))


def _is_followed(design: DesignFlags, name: str, batches: Sequence[int]) -> bool:
    """True if a written flag says what the campaign does anyway."""
    is_default: bool = getattr(design, name) == DesignFlags.model_fields[name].get_default()
    return design.n in batches if name == "n" else is_default
