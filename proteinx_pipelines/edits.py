"""Variants that change the length of a protein: insertions and deletions beside substitutions, in one written form.

`L7del`, `A9_K11del`, `T2_Y3insAC`, `A9_K11delinsGG`: HGVS with one-letter codes, joined by `:` as ProteinGym joins
substitutions. Positions count from 1 in the template. `mutants` reads variants with substitutions only, millions at a
time; this module reads one variant at a time.
"""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import MAX_DIGITS, SEPARATOR, WILD_TYPE, Mutation, parse_mutant

_PLACE = rf"([A-Z*])([1-9][0-9]{{0,{MAX_DIGITS - 1}}})"
_INDEL = re.compile(rf"{_PLACE}(?:_{_PLACE})?(?:(del)([A-Z]*)|del(ins)([A-Z]+)|(ins)([A-Z]+))", re.ASCII)
_LONGEST_COMPARED = (
    400  # residues between common ends that are compared letter by letter; the table is square
)


@dataclass(frozen=True)
class Edit:
    """Residues `first` to `last` of the template become `residues`; an insertion has `last == first - 1`."""

    first: int
    last: int
    residues: str
    anchors: tuple[tuple[str, int], ...]
    """Letters of the template as written, with their positions."""

    @property
    def is_substitution(self) -> bool:
        """True if one residue replaces one."""
        return self.first == self.last and len(self.residues) == 1


def has_indels(mutant: str) -> bool:
    """True if a mutant in this form has more than substitutions."""
    return "del" in mutant or "ins" in mutant


def rows_with_indels(mutants: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Bool [N]: True for mutants in this form with more than substitutions."""
    found = pc.match_substring_regex(mutants, "del|ins").fill_null(False)
    return np.asarray(
        found.to_numpy() if isinstance(found, pa.ChunkedArray) else found.to_numpy(zero_copy_only=False)
    )


def parse_edits(text: str) -> tuple[Edit, ...]:
    """Read one mutant, in the order written; `WT` has no edits.

    Raises:
        BadVariants: a part is neither a substitution nor an insertion or deletion.
    """
    if text == WILD_TYPE:
        return ()
    return tuple(_parse_part(part, text) for part in text.split(SEPARATOR))


def _parse_part(part: str, text: str) -> Edit:
    match = _INDEL.fullmatch(part)
    if not match:
        if has_indels(part):
            raise BadVariants(
                f"{part!r} in the mutant {text!r} is not an insertion or deletion; `L7del`, `A9_K11del`, "
                "`T2_Y3insAC` or `A9_K11delinsGG` is expected."
            )
        (mutation,) = parse_mutant(part)
        return _substitution(mutation)
    first, last = int(match[2]), int(match[4] or match[2])
    anchors = ((match[1], first), *([(match[3], last)] if match[3] else []))
    if match[9]:
        if last != first + 1:
            raise BadVariants(f"{part!r} in the mutant {text!r}: an insertion stands between two neighbours.")
        return Edit(last, first, match[10], anchors)
    if last < first or match[6]:
        raise BadVariants(
            f"{part!r} in the mutant {text!r}: the first residue comes first, nothing follows `del`."
        )
    return Edit(first, last, match[8] or "", anchors)


def _substitution(mutation: Mutation) -> Edit:
    return Edit(
        mutation.position, mutation.position, mutation.residue, ((mutation.wild_type, mutation.position),)
    )


def format_edits(edits: Iterable[tuple[int, int, str]], template: str) -> str:
    """Write (first, last, residues) as a mutant of a template; the inverse of `parse_edits`."""
    return (
        SEPARATOR.join(_format(first, last, residues, template) for first, last, residues in edits)
        or WILD_TYPE
    )


def _format(first: int, last: int, residues: str, template: str) -> str:
    if last < first:  # before the first and behind the last residue there are no two neighbours
        if first == 1:
            return f"{template[0]}1delins{residues}{template[0]}"
        if last == len(template):
            return f"{template[-1]}{last}delins{template[-1]}{residues}"
        return f"{template[last - 1]}{last}_{template[first - 1]}{first}ins{residues}"
    if first == last and len(residues) == 1:
        return f"{template[first - 1]}{first}{residues}"
    place = f"{template[first - 1]}{first}" + (f"_{template[last - 1]}{last}" if last > first else "")
    return f"{place}del" + (f"ins{residues}" if residues else "")


def edit_problems(edits: Sequence[Edit], template: str, offset: int = 0) -> list[str]:
    """List the reasons why edits do not fit a template; empty if they do.

    Args:
        edits: of one mutant.
        template: the sequence they change.
        offset: added to positions where they are shown.
    """
    problems = []
    anchored = [(anchor, edit) for edit in edits for anchor in edit.anchors]
    for (letter, position), edit in dict(anchored).items():
        shown = f"'{letter}{position + offset}{edit.residues if edit.is_substitution else ''}'"
        if not 1 <= position <= len(template):
            limits = f"{1 + offset} to {len(template) + offset}"
            problems.append(f"{shown} lies outside the template, which goes from {limits}")
        elif template[position - 1] != letter:
            problems.append(f"{shown} is written against a template that has {template[position - 1]} there")
    ordered = sorted(edits, key=lambda edit: (edit.first, edit.last))
    for before, after in itertools.pairwise(ordered):
        if after.first <= before.last or (before.first, before.last) == (after.first, after.last):
            problems.append(f"it changes position {after.first + offset} more than once")
    return problems


def edited_sequence(edits: Sequence[Edit], template: str) -> str:
    """Apply edits that fit to the template."""
    pieces, done = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.first, edit.last)):
        pieces += [template[done : edit.first - 1], edit.residues]
        done = max(done, edit.last)
    return "".join([*pieces, template[done:]])


def canonical_edits(text: str, template: str) -> str:
    """Canonical form of a mutant's sequence: two mutants are the same sequence if and only if these are equal."""
    return mutant_of(edited_sequence(parse_edits(text), template), template)


def mutant_of(sequence: str, template: str) -> str:
    """Find the mutant that turns a template into a sequence: substitutions if the lengths agree, else the fewest edits.

    By the HGVS rule, an insertion or deletion in a repeat is placed at the last possible position.
    """
    if len(sequence) == len(template):
        changed = [
            k for k, (old, new) in enumerate(zip(template, sequence, strict=True), start=1) if old != new
        ]
        return SEPARATOR.join(f"{template[k - 1]}{k}{sequence[k - 1]}" for k in changed) or WILD_TYPE
    begin = _common(template, sequence)
    end = _common(template[begin:][::-1], sequence[begin:][::-1])
    old, new = template[begin : len(template) - end], sequence[begin : len(sequence) - end]
    whole = format_edits([(begin + 1, begin + len(old), new)], template)
    if not old or not new or max(len(old), len(new)) > _LONGEST_COMPARED:
        return whole
    mutant = format_edits(_fewest_edits(old, new, begin), template)
    # An insertion at an end is written as a change of the residue there, which may be changed besides.
    return whole if edit_problems(parse_edits(mutant), template) else mutant


def _common(one: str, other: str) -> int:
    """Length of the common prefix of two texts."""
    length = min(len(one), len(other))
    return next((k for k in range(length) if one[k] != other[k]), length)


def _fewest_edits(old: str, new: str, begin: int) -> list[tuple[int, int, str]]:
    """Find substitutions and at most as many inserted or deleted stretches as in Levenshtein's distance."""
    cost = [[*range(len(new) + 1)]]
    for i, letter in enumerate(old, start=1):
        above, row = cost[-1], [i]
        for j, other in enumerate(new, start=1):
            row.append(min(above[j - 1] + (letter != other), above[j] + 1, row[-1] + 1))
        cost.append(row)
    edits: list[tuple[int, int, str]] = []
    i, j = len(old), len(new)
    while i or j:
        if i and j and cost[i][j] == cost[i - 1][j - 1] + (old[i - 1] != new[j - 1]):
            i, j = i - 1, j - 1
            if old[i] != new[j]:
                edits.append((begin + i + 1, begin + i + 1, new[j]))
        elif i and cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
            edits.append((begin + i + 1, begin + i + 1, ""))
        else:
            j -= 1
            edits.append((begin + i + 1, begin + i, new[j]))
    return _joined(edits[::-1])


def _joined(edits: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Join adjacent deletions, and insertions at one place, with the edits beside them."""
    joined: list[tuple[int, int, str]] = []
    for first, last, residues in edits:
        if joined:
            before_first, before_last, before = joined[-1]
            is_plain = (
                before_first == before_last and len(before) == 1 and first == last and len(residues) == 1
            )
            if first == before_last + 1 and not is_plain:
                joined[-1] = (before_first, last, before + residues)
                continue
        joined.append((first, last, residues))
    return joined
