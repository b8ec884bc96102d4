"""Sentences about what a design gives less of than its flags ask for, each with the reason and the remedy.

The report, `proteinx propose` and `proteinx round propose` show them. Nothing is decided here: the limits are those of
`library`, `asked_library`, `choosing` and `proposals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.stages.design.candidates import Candidates
from proteinx_pipelines.stages.design.library import MOST_CANDIDATES
from proteinx_pipelines.stages.design.rules import GIVEN, Rules

THOMPSON, LIAR, CLUSTERS, PENALTIES, EXPLORE = (
    "`design.acquisition` thompson", "`design.batching` liar", "`design.batching` clusters",
    "`design.batching` penalties", "`design.explore`",
)  # fmt: skip
"""What limits the candidates that are looked at, as `Looked.by`."""
FEW_LOOKED = (THOMPSON, LIAR, CLUSTERS)
_SHOWN = 10


def of_positions(flags: DesignFlags, rules: Rules, offset: int) -> list[str]:
    """Positions that were named and cannot change.

    Args:
        flags: `design.positions`, in the user's numbering.
        rules: what is allowed there.
        offset: position in the user's numbering minus position in the template.
    """
    still = [at for at in flags.positions if not rules.may[at - offset - 1].any()]
    if not still or flags.library in GIVEN:
        return []
    stay = "it stays" if len(still) == 1 else "they stay"
    return [
        f"`design.positions`: the other flags allow no residue at {_listed(still)}; {stay} as in the template."
    ]


def of_combinations(rules: Rules) -> list[str]:
    """Combinations with more mutations than are allowed."""
    n = len(rules.positions())
    if n <= rules.most:
        return []
    text = (
        f"`design.max_mutations` {rules.most} leaves out the combinations that change more than {rules.most} of the "
        f"{n} positions. Raise it to have them."
    )
    return [text]


def of_doubles(flags: DesignFlags, n_singles: int) -> list[str]:
    """Fewer single mutants than are to be paired."""
    if n_singles >= flags.best or not _is_written(flags, "best"):
        return []
    return [
        f"`design.best` {flags.best}: the flags allow {n_singles:,} single mutants, and all of them are paired."
    ]


def of_recombination(flags: DesignFlags, mutations: np.ndarray, n_hits: int, most: int) -> list[str]:
    """Fewer measured variants, or fewer mutations in a combination, than were asked for.

    Args:
        flags: `design.best`, `design.max_mutations`.
        mutations: int64 [m, 2], position and residue of the mutations that are combined.
        n_hits: measured variants that they come from.
        most: most mutations of a combination.
    """
    found = []
    if n_hits < flags.best and _is_written(flags, "best"):
        found.append(
            f"`design.best` {flags.best}: {n_hits:,} measured variants have mutations, and all are used."
        )
    if most < flags.max_mutations:
        found.append(
            f"At most {most} mutations are combined, where `design.max_mutations` allows {flags.max_mutations}: "
            f"{len(mutations):,} mutations of the best measured variants would give more than {MOST_CANDIDATES:,} "
            "variants. Lower `design.best` to combine more."
        )
    elif (n_positions := len(np.unique(mutations[:, 0]))) < flags.max_mutations:
        found.append(
            f"At most {n_positions} mutations are combined, where `design.max_mutations` allows "
            f"{flags.max_mutations}: the best measured variants change no more positions."
        )
    return found


def of_given(flags: DesignFlags, n_given: int, n_within: int, n_left: int) -> list[str]:
    """Variants of a given library that cannot be proposed.

    Args:
        flags: `design.library`.
        n_given: different variants.
        n_within: those that satisfy the flags.
        n_left: those that are neither measured nor excluded either.
    """
    if flags.library not in GIVEN or n_left == n_given:
        return []
    reasons = [
        (n_given - n_within, "do not satisfy the flags"),
        (n_within - n_left, "are measured or excluded"),
    ]
    why = ", ".join(f"{n:,} {words}" for n, words in reasons if n)
    return [f"{n_left:,} of the {n_given:,} given variants can be proposed: {why}."]


def of_unscored(n_rows: int, n_designable: int) -> list[str]:
    """Rows without a score that are no substitutions of the template.

    Args:
        n_rows: rows without a score.
        n_designable: those that are substitutions by the twenty residues inside of the template.
    """
    if n_designable == n_rows:
        return []
    text = (
        f"{n_rows - n_designable:,} of {n_rows:,} rows without a score are left out: a design is substitutions by the "
        "twenty residues inside of the template."
    )
    return [text]


def of_sources(left_out: Sequence[tuple[str, int]], first: str) -> list[str]:
    """Measured variants of further sources that are no variants of the designed template.

    Args:
        left_out: source and number of its variants.
        first: the designed source.
    """
    told = ", ".join(f"{n:,} of {source}" for source, n in left_out if n)
    if not told:
        return []
    return [
        f"Measured variants that change residues outside of the template of {first} are left out: {told}."
    ]


@dataclass(frozen=True)
class Looked:
    """Candidates among which a batch was chosen."""

    by: str
    """The flag that limits them, with its value."""
    n: int
    of: int
    """Candidates that may be proposed."""


def of_choice(flags: DesignFlags, n_chosen: int, looked: Looked) -> list[str]:
    """Fewer variants than `design.n`."""
    if n_chosen >= flags.n:
        return []
    start = f"{n_chosen:,} of {flags.n:,} variants: "
    if looked.n >= looked.of:
        more = (
            "The library doubles (`design.library`) combines the best single mutants."
            if flags.library == "singles"
            else "Another library (`design.library`) may have more."
        )
        return [
            f"{start}the rest of the library {flags.library} is measured, excluded or against the flags. {more}"
        ]
    limit = ""
    if flags.most_per_position is not None:
        limit = f", and `design.most_per_position` {flags.most_per_position} rules out the rest of them"
    more = " `design.batching` penalties looks at more." if looked.by in FEW_LOOKED else ""
    return [f"{start}{looked.by} looks at the best {looked.n:,} of {looked.of:,} candidates{limit}.{more}"]


def of_exploration(flags: DesignFlags) -> list[str]:
    """A share to explore that is less than half a variant."""
    if not flags.explore or round(flags.explore * flags.n):
        return []
    return [
        f"`design.explore` {flags.explore:g} of {flags.n} is less than half a variant: none is chosen to explore."
    ]


def of_controls(flags: DesignFlags, controls: Candidates) -> list[str]:
    """Fewer controls than were asked for."""
    if controls.n >= flags.controls:
        return []
    return [f"{controls.n} of {flags.controls} controls: no further variant was measured."]


def _is_written(flags: DesignFlags, name: str) -> bool:
    return bool(getattr(flags, name) != DesignFlags.model_fields[name].get_default())


def _listed(positions: Sequence[int]) -> str:
    more = f" and {len(positions) - _SHOWN} more" if len(positions) > _SHOWN else ""
    return ", ".join(map(str, positions[:_SHOWN])) + more
