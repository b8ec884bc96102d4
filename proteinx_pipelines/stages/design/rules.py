"""Constraints of `design.*` as one table of allowed residues by position."""

from dataclasses import dataclass

import numpy as np
from pydantic.fields import FieldInfo

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.mutants import WILD_TYPE
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.codons import one_step_residues, shares
from proteinx_pipelines.stages.design.demands import (
    coding_problems,
    contradictions,
    read_names,
    single_mutations,
)

_LETTERS = np.frombuffer(AMINO_ACIDS.encode("ascii"), np.uint8)

GIVEN = ("unmeasured", "file")
"""Libraries whose variants are given."""
_CONSTRAINTS = (
    "positions", "fixed", "allowed", "forbidden", "must_have", "must_not", "cysteines", "max_mutations",
    "coding_sequence", "codons", "most_clones",
)  # fmt: skip


def _constraints() -> list[tuple[str, FieldInfo]]:
    return [(name, DesignFlags.model_fields[name]) for name in _CONSTRAINTS]


@dataclass(frozen=True)
class Rules:
    """The constraints of one library."""

    may: np.ndarray
    """bool [L, 20]: residues (in the order of `AMINO_ACIDS`) allowed at each position; never the template's own."""
    must: Candidates
    """One variant: mutations that every variant must have."""
    most: int
    """Most substitutions."""
    excluded: Candidates
    """Variants that are not proposed."""
    clones: np.ndarray | None = None
    """float64 [256]: clones that a residue (ASCII) takes on average, made by a degenerate codon; None without one."""
    most_clones: float = np.inf
    """Most clones of a variant: the product over its residues."""

    def positions(self) -> np.ndarray:
        """int64: positions (from 1) that may change."""
        return np.asarray(np.flatnonzero(self.may.any(axis=1)) + 1, np.int64)

    def residues_at(self, position: int) -> np.ndarray:
        """uint8, ASCII: residues allowed at a position (from 1)."""
        return np.asarray(_LETTERS[self.may[position - 1]])

    @staticmethod
    def is_asked_for(flags: DesignFlags) -> bool:
        """True if any constraint is set: variants that are given are otherwise taken as they are."""
        return any(getattr(flags, name) != field.get_default() for name, field in _constraints())

    def keep(self, candidates: Candidates) -> np.ndarray:
        """Bool [n]: variants that satisfy every rule."""
        column = np.full(256, -1)
        column[_LETTERS] = np.arange(len(_LETTERS))
        at = column[candidates.residue]
        good = (at >= 0) & self.may[candidates.position - 1, at]
        must = set(zip(self.must.position.tolist(), self.must.residue.tolist(), strict=True))
        for position, residue in must:
            good |= (candidates.position == position) & (candidates.residue == residue)
        bad = np.bincount(candidates.row[~good], minlength=candidates.n)
        found = (bad == 0) & (candidates.counts <= self.most)
        if self.clones is not None and np.isfinite(self.most_clones):
            cost = np.bincount(
                candidates.row, np.log(self.clones[candidates.residue]), minlength=candidates.n
            )
            found &= cost <= np.log(self.most_clones) + 1e-9
        for position, residue in must:
            own = (candidates.position == position) & (candidates.residue == residue)
            found &= np.bincount(candidates.row[own], minlength=candidates.n) > 0
        return np.asarray(found)


def rules_of(flags: DesignFlags, source: str, template: str, offset: int, known: np.ndarray) -> Rules:
    """The rules of `design.*` for one protein.

    Args:
        flags: positions in the user's numbering of the source.
        source: its name, for messages.
        template: its sequence, L residues.
        offset: position as written minus position in the template.
        known: int64, positions (from 1) that may change where `positions` is empty.

    Raises:
        FlagError: positions outside of the protein, or mutations that do not fit the template; all of them at once.
    """
    length, problems = len(template), []
    named = [
        *flags.positions,
        *flags.fixed,
        *(int(p) for d in (flags.allowed, flags.forbidden) for p in d if p != "*"),
    ]
    outside = sorted({position for position in named if not 1 <= position - offset <= length})
    if outside:
        problems.append(
            f"`design`: the positions {', '.join(map(str, outside[:10]))} are not in {source}, which has "
            f"{1 + offset} to {length + offset}."
        )
    mutants = {"must_have": flags.must_have, "must_not": flags.must_not, "exclude": flags.exclude}
    read = {
        name: read_names(each, name, source, template, offset, problems) for name, each in mutants.items()
    }
    must, never = single_mutations(read["must_have"]), single_mutations(read["must_not"])
    problems += contradictions(must, never, flags, template, offset)
    problems += coding_problems(flags.coding_sequence, source, template, offset)
    if problems:
        raise FlagError(problems)
    may = np.zeros((length, len(AMINO_ACIDS)), bool)
    wanted = np.asarray([position - offset for position in flags.positions] or known, np.int64)
    for position in wanted.tolist():
        letters = flags.allowed.get(str(position + offset), flags.allowed.get("*", AMINO_ACIDS))
        refused = flags.forbidden.get(str(position + offset), "") + flags.forbidden.get("*", "")
        may[position - 1] = [letter in letters and letter not in refused for letter in AMINO_ACIDS]
    may[np.asarray([position - offset - 1 for position in flags.fixed], np.int64)] = False
    own = np.array([AMINO_ACIDS.find(letter) for letter in template])
    may[np.flatnonzero(own >= 0), own[own >= 0]] = False
    if flags.coding_sequence is not None:
        may &= one_step_residues(flags.coding_sequence)
    for each in never:
        may[each.position - 1, AMINO_ACIDS.find(each.residue)] = False
    if not flags.cysteines:
        may[:, AMINO_ACIDS.index("C")] = False
        may[own == AMINO_ACIDS.index("C")] = False
    clones = None
    if flags.codons is not None:
        share = shares(flags.codons)
        may &= np.array([letter in share for letter in AMINO_ACIDS])
        clones = np.array([1 / share.get(chr(letter), 1.0) for letter in range(256)])
    return Rules(
        may,
        candidates_of(source, template, [":".join(each.name for each in must)] if must else [WILD_TYPE]),
        flags.max_mutations,
        candidates_of(source, template, read["exclude"]),
        clones,
        flags.most_clones or np.inf,
    )
