"""Mutations that `design.*` names (must have, must not, exclude) and the DNA of the template: read, and compared.

Every mutant is read in any notation that the import reads, in the user's numbering. What a proposal cannot satisfy
together is refused, since one of the two rules would be broken without a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from proteinx_pipelines.edits import has_indels
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.mutants import SEPARATOR, WILD_TYPE
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design.codons import one_step_residues, shares, translate
from proteinx_pipelines.variant_files.notation import NotRead, read_mutant

_SHOWN = 10
_STARTS = ("ATG", "GTG", "TTG", "CTG", "ATT", "ATC", "ATA")
"""Codons that stand for methionine at the beginning of a gene. Source: NCBI translation table 11."""


@dataclass(frozen=True, order=True)
class Mutation:
    """A substitution of the template."""

    position: int
    """From 1, in the template."""
    own: str
    """The template's residue."""
    residue: str
    """The new one."""

    @property
    def name(self) -> str:
        """As `A24C`, in template positions."""
        return self.written(0)

    def written(self, offset: int) -> str:
        """As `A24C`, in the user's numbering."""
        return f"{self.own}{self.position + offset}{self.residue}"


def read_names(
    names: Sequence[str], flag: str, source: str, template: str, offset: int, problems: list[str]
) -> list[str]:
    """Read the variants of a flag as mutants in template positions; those that cannot be read are added to `problems`.

    Args:
        names: as written, in the user's numbering.
        flag: its name in `design.*`.
        source: of the template, for messages.
        template: the sequence that they change.
        offset: position as written minus position in the template.
        problems: receives at most one sentence.
    """
    found, bad = [], []
    for name in names:
        try:
            mutant = read_mutant(name, template, offset).mutant
        except NotRead:
            mutant = ""
        if not mutant or has_indels(mutant):
            bad.append(name)
        elif flag != "exclude" and not single_mutations([mutant]):
            problems.append(f"`design.{flag}`: {name!r} changes nothing; a mutation is expected.")
        else:
            found.append(mutant)
    if bad:
        problems.append(
            f"`design.{flag}`: {', '.join(bad[:_SHOWN])} do not fit the template of {source} in its own numbering; "
            f"mutations such as {template[0]}{1 + offset}A are expected."
        )
    return found


def single_mutations(mutants: Sequence[str]) -> list[Mutation]:
    """Every substitution of some mutants (`A24C:D40G`), once each, by position."""
    parts = {part for mutant in mutants if mutant != WILD_TYPE for part in mutant.split(SEPARATOR)}
    return sorted(Mutation(int(part[1:-1]), part[0], part[-1]) for part in parts if part[0] != part[-1])


def contradictions(
    must: Sequence[Mutation], never: Sequence[Mutation], flags: DesignFlags, template: str, offset: int
) -> list[str]:
    """What `design.must_have` demands and another rule forbids, one sentence each.

    Residues of `allowed` for `*` and `design.positions` speak of the other mutations: they forbid nothing here.
    """
    problems = [
        f"`design.must_have` names {a.written(offset)} and {b.written(offset)}, which change the same position; "
        "name one of them."
        for a, b in pairwise(must)
        if a.position == b.position
    ]
    if len(must) > flags.max_mutations:
        problems.append(
            f"`design.must_have` names {len(must)} mutations and `design.max_mutations` is {flags.max_mutations}; "
            "raise it, or name fewer."
        )
    for each in must:
        problems += [
            f"`design.must_have` names {each.written(offset)}, and {rule}; leave one of the two out."
            for rule in _rules_against(each, never, flags, template, offset)
        ]
    return problems


def _rules_against(
    each: Mutation, never: Sequence[Mutation], flags: DesignFlags, template: str, offset: int
) -> list[str]:
    """Rules that forbid a mutation, in words."""
    at = str(each.position + offset)
    if each.residue not in AMINO_ACIDS:
        return [f"{each.residue} is none of the twenty residues"]
    found = []
    if each in never:
        found.append("`design.must_not` names it too")
    if each.position + offset in flags.fixed:
        found.append(f"`design.fixed` keeps {at} as it is")
    if each.residue in flags.forbidden.get(at, "") + flags.forbidden.get("*", ""):
        found.append(f"`design.forbidden` has {each.residue}")
    if at in flags.allowed and each.residue not in flags.allowed[at]:
        found.append(f"`design.allowed` has {flags.allowed[at]} at {at}")
    if not flags.cysteines and "C" in (each.own, each.residue):
        found.append("`design.cysteines` is false")
    if flags.codons is not None and each.residue not in shares(flags.codons):
        found.append(f"`design.codons` {flags.codons} does not encode {each.residue}")
    dna = flags.coding_sequence
    if dna is not None and len(dna) == 3 * len(template):
        reached = one_step_residues(dna[3 * each.position - 3 : 3 * each.position])[0]
        if not reached[AMINO_ACIDS.index(each.residue)]:
            found.append("one nucleotide of `design.coding_sequence` does not reach it")
    return found


def coding_problems(dna: str | None, source: str, template: str, offset: int) -> list[str]:
    """What is wrong with the DNA of the template; residues of it that are none of the twenty are not compared."""
    if dna is None:
        return []
    if len(dna) != 3 * len(template):
        sizes = f"{len(dna) // 3} codons, {source} has {len(template)} residues"
        return [
            f"`design.coding_sequence` has {sizes}; give the DNA of exactly the template, without a stop codon."
        ]
    codons = [dna[start : start + 3].upper().replace("U", "T") for start in range(0, len(dna), 3)]
    wrong = [
        at
        for at, (codon, residue) in enumerate(zip(codons, template, strict=True), 1)
        if residue in AMINO_ACIDS
        and translate(codon) != residue
        and not (at == 1 and residue == "M" and codon in _STARTS)
    ]
    if not wrong:
        return []
    first = wrong[0]
    found, own = codons[first - 1], template[first - 1]
    where = f"the first at position {first + offset} ({found} is {translate(found)}, {own} is expected)"
    differ = f"{len(wrong):,} of {len(template):,} codons differ, {where}"
    return [
        f"`design.coding_sequence` is not the DNA of {source}: {differ}. Give that of exactly the template, in frame."
    ]
