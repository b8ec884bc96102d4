"""Sources of one protein: measurements of all that `design.source` names, and variants that others have measured.

    design.source                           several: one set of measurements, in the numbering of the first
    other sources of the experiment,        their measured variants are not proposed; their values are not read, since
    design.exclude_sources                  they may be of another scale

Templates of one protein have the same length and agree in at least half of their residues (another parent variant), or
one contains the other (a tag, a domain). A variant is then the same one in both if its sequence, there, is the same.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.records import AMINO_ACIDS, Selection, VariantTable
from proteinx_pipelines.stages.design.candidates import (
    Candidates,
    candidates_of,
    joined,
    measured_candidates,
)

_ALIKE = 0.5
"""Least share of equal residues in templates of one protein that have the same length."""
_SUBSTITUTIONS = f"^(WT|[A-Z][0-9]+[{AMINO_ACIDS}](:[A-Z][0-9]+[{AMINO_ACIDS}])*)$"
_OTHER_PROTEIN = (
    "`{flag}` names {other}, whose template ({other_length:,} residues) is not that of {source} ({length:,}): one does "
    "not contain the other, and they do not agree in half of their residues at equal length. Name sources of one "
    "protein."
)


def chosen_sources(flags: DesignFlags, variants: VariantTable) -> tuple[str, ...]:
    """Names of the sources whose measurements are those of the design; the first one's template is designed.

    Raises:
        FlagError: there are several sources and none is named, or a name is not one of them.
    """
    names = sorted(variants.templates)
    if flags.source is None and len(names) == 1:
        return (names[0],)
    wrong = [name for name in flags.source or () if name not in names]
    if flags.source and not wrong:
        return flags.source
    found = "is not given" if not flags.source else f"names {', '.join(map(repr, wrong))}"
    several = "; several of one protein and one scale as a list" if len(names) > 1 else ""
    raise FlagError(
        [f"`design.source` {found}; the experiment has {', '.join(names[:20])}. Name one of them{several}."]
    )


def measurements(variants: VariantTable, sources: Sequence[str]) -> tuple[Candidates, np.ndarray]:
    """Measured variants of several sources as those of the first, and their targets, float64 [m].

    A variant that several of them measured is one row with the mean of its targets; rows of another sequence than a
    variant of the first template are left out.

    Raises:
        FlagError: the templates are not those of one protein; every other one is named.
    """
    target = variants.column("target").astype(np.float64)
    first, rows = measured_candidates(variants, sources[0])
    if len(sources) == 1:
        return first, target[rows]
    pieces, values = [first], [target[rows]]
    for name in sources[1:]:
        own, rows = measured_candidates(variants, name)
        moved, kept = _as_variants_of(first, own, "design.source")
        pieces.append(moved)
        values.append(target[rows][kept])
    return _merged(joined(pieces), np.concatenate(values))


def measured_elsewhere(variants: VariantTable, first: Candidates) -> Candidates:
    """Variants of the designed template that other sources of the experiment have measured.

    Args:
        variants: of the experiment; sources of other proteins have none.
        first: any variants of the designed source.
    """
    others = sorted(set(variants.templates) - {first.source})
    own = [name for name in others if same_protein(variants.templates[name], first.template) is not None]
    moved = [in_terms_of(_labelled(variants, name), first.source, first.template)[0] for name in own]
    return joined([first.take(np.zeros(0, np.int64)), *moved])


def measured_in_excluded(excluded: VariantTable | None, first: Candidates) -> Candidates:
    """Variants of the designed template that the sources of `design.exclude_sources` have measured.

    Args:
        excluded: rows of those sources; None without any.
        first: any variants of the designed source.

    Raises:
        FlagError: an excluded source is of another protein.
    """
    moved = [
        _as_variants_of(first, _labelled(excluded, name), "design.exclude_sources")[0]
        for name in sorted(excluded.templates if excluded is not None else ())
        if excluded is not None
    ]
    return joined([first.take(np.zeros(0, np.int64)), *moved])


def unmeasured(selection: Selection, sources: Sequence[str], template: str) -> Candidates:
    """The selected rows of the sources of a design that have no score, as variants of the first source's template.

    Rows with a stop, an unknown residue, an insertion or a deletion are left out: designs are substitutions by the
    twenty residues.
    """
    rows, pieces = selection.rows, []
    for name in sources:
        mask = pc.and_(
            pc.equal(rows.column("source"), name), pc.is_null(rows.column("DMS_score"), nan_is_null=True)
        )
        names = rows.filter(mask).column("mutant").combine_chunks()
        names = names.filter(pc.match_substring_regex(names, _SUBSTITUTIONS).fill_null(False))
        own = candidates_of(name, selection.templates[name], names)
        pieces.append(in_terms_of(own, sources[0], template)[0])
    return joined(pieces)


def n_without_score(selection: Selection, sources: Sequence[str]) -> int:
    """Number of selected rows of some sources that have no score."""
    rows = selection.rows
    own = pc.is_in(rows.column("source"), value_set=pa.array(list(sources), pa.string()))
    return int(pc.sum(pc.and_(own, pc.is_null(rows.column("DMS_score"), nan_is_null=True))).as_py() or 0)


def outside_of_first(variants: VariantTable, sources: Sequence[str]) -> list[tuple[str, int]]:
    """Measured substitutions of each further source that are no variants of the first one's template, by source."""
    first = variants.templates[sources[0]]
    found = []
    for name in sources[1:]:
        own, _ = measured_candidates(variants, name)
        found.append((name, own.n - len(in_terms_of(own, sources[0], first)[1])))
    return found


def _labelled(variants: VariantTable, name: str) -> Candidates:
    own, rows = measured_candidates(variants, name)
    return own.take(np.flatnonzero(np.isfinite(variants.column("target").astype(np.float64)[rows])))


def _as_variants_of(first: Candidates, own: Candidates, flag: str) -> tuple[Candidates, np.ndarray]:
    if same_protein(own.template, first.template) is None:
        raise FlagError(
            [
                _OTHER_PROTEIN.format(
                    flag=flag, other=own.source, other_length=len(own.template), source=first.source,
                    length=len(first.template),
                )
            ]
        )  # fmt: skip
    return in_terms_of(own, first.source, first.template)


def same_protein(other: str, template: str) -> int | None:
    """Positions by which `other` is ahead of `template`, negative where it starts later; None: not one protein."""
    if len(other) == len(template):
        agree = sum(a == b for a, b in zip(other, template, strict=True))
        return 0 if agree >= _ALIKE * len(template) else None
    longer, shorter = sorted((other, template), key=len, reverse=True)
    if not shorter or (at := longer.find(shorter)) < 0:
        return None
    return at if longer is other else -at


def in_terms_of(own: Candidates, source: str, template: str) -> tuple[Candidates, np.ndarray]:
    """Variants of another template of the same protein as variants of this one, and which of them they are, int64.

    Those that change a residue outside of this template are none of its variants, and are left out.
    """
    if own.template == template:
        return Candidates(source, template, own.n, own.row, own.position, own.residue), np.arange(own.n)
    ahead = same_protein(own.template, template)
    assert ahead is not None
    outside = (own.position <= ahead) | (own.position > ahead + len(template))
    kept = np.flatnonzero(np.bincount(own.row[outside], minlength=own.n) == 0)
    own = own.take(kept)
    row, position, residue = own.row, own.position - ahead, own.residue
    if len(own.template) == len(template):
        row, position, residue = _with_differences(own, template)
    return Candidates(source, template, own.n, row, position, residue), kept


def _with_differences(own: Candidates, template: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Substitutions of variants of a template of equal length, by which they become variants of this one."""
    theirs, ours = (np.frombuffer(text.encode("ascii"), np.uint8) for text in (own.template, template))
    differ = np.flatnonzero(theirs != ours) + 1
    row = np.concatenate([own.row, np.repeat(np.arange(own.n), len(differ))])
    position = np.concatenate([own.position, np.tile(differ, own.n)])
    residue = np.concatenate([own.residue, np.tile(theirs[differ - 1], own.n)])
    # A variant's own substitution, which comes first, wins over its template's residue.
    _, first = np.unique(row * (len(template) + 1) + position, return_index=True)
    changed = first[residue[first] != ours[position[first] - 1]]
    return row[changed], position[changed], residue[changed]


def _merged(candidates: Candidates, target: np.ndarray) -> tuple[Candidates, np.ndarray]:
    """Each variant once, at its first place, with the mean of its finite targets."""
    keys = candidates.keys().view([("a", np.uint64), ("b", np.uint64)]).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    known = np.isfinite(target)
    total = np.bincount(which, np.where(known, target, 0.0), minlength=len(first))
    n = np.bincount(which, known, minlength=len(first))
    mean = np.where(n > 0, total / np.maximum(n, 1), np.nan)
    order = np.argsort(first, kind="stable")
    return candidates.take(first[order]), mean[order]
