"""Plausibility checks: nucleotides instead of residues; scores that are ranks, classes or on two scales."""

import itertools
from collections.abc import Iterable

import numpy as np

from proteinx_pipelines.variant_files.error_columns import DEVIATION, ERROR

NUCLEOTIDES = frozenset("ACGTU")
_UNKNOWN_BASE = frozenset("N")
_SHORTEST = 12
"""Least residues to test: a protein of this length has only A, C, G, T by chance once in 16 million sequences."""
_FEW, _SHOWN = 20, 4
_GAP = 5.0
_BASES = "TCAG"
_CODE = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
_CODONS = {
    "".join(codon): residue for codon, residue in zip(itertools.product(_BASES, repeat=3), _CODE, strict=True)
}
AMINO_ACIDS = frozenset("ACDEFGHIKLMNPQRSTVWY")


def nucleotide_problem(template: str, residues: Iterable[str]) -> str | None:
    """Describe the problem if the template and the mutated letters are nucleotides, not residues."""
    letters = set(template)
    if (
        len(template) < _SHORTEST
        or not letters <= NUCLEOTIDES | _UNKNOWN_BASE
        or len(letters & NUCLEOTIDES) < 3
    ):
        return None
    if not set(residues) <= NUCLEOTIDES | _UNKNOWN_BASE | {"*"}:
        return None
    protein = translated(template)
    return (
        f"The template and all variants are made of {', '.join(sorted(letters))} alone: these look like nucleotides, "
        f"not like the residues Ala, Cys, Gly and Thr. In its first frame the template is {_short(protein)}: give the "
        "protein with --template and the changes of its residues (MaveDB's column hgvs_pro has them). --protein "
        "imports the letters as residues."
    )


def translated(nucleotides: str) -> str:
    """Translate the first frame; X for a codon with an unknown base."""
    text = nucleotides.upper().replace("U", "T")
    return "".join(_CODONS.get(text[k : k + 3], "X") for k in range(0, len(text) - 2, 3))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def odd_template(template: str, mutated: Iterable[int]) -> list[str]:
    """Sentences about letters of a template that are no residues.

    Args:
        template: letters A-Z.
        mutated: positions that variants change.
    """
    places = {k: letter for k, letter in enumerate(template, start=1) if letter not in AMINO_ACIDS}
    if not places:
        return []
    changed = sorted(set(places) & set(mutated))
    shown = ", ".join(f"{letter} at {k}" for k, letter in [*places.items()][:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    advice = (
        "no variant changes it, so every row has it: one-hot leaves it out, language models refuse it"
        if not changed
        else f"variants change position {changed[0]}, whose own letter no model knows"
    )
    return [f"the template has {shown}{more}, which is none of the twenty residues; {advice}"]


def odd_scores(scores: np.ndarray) -> list[str]:
    """Sentences about scores (float64 [n], NaN: not measured) that are unlikely to be measurements of one assay."""
    found = scores[np.isfinite(scores)]
    if len(found) < 3:
        return []
    low, high = float(found.min()), float(found.max())
    if low == high:
        return [f"all {len(found):,} scores are {low:g}: there is nothing to learn. Is it the right column?"]
    if len(found) < _FEW:
        return []
    distinct = np.unique(found)
    if np.array_equal(distinct, np.rint(distinct)):
        if len(distinct) <= 10:
            shown = ", ".join(f"{value:g}" for value in distinct[:_SHOWN])
            more = ", ..." if len(distinct) > _SHOWN else ""
            said = f"the scores are {len(distinct)} whole numbers ({shown}{more}): classes or numbers of folds, rather "
            return [f"{said}than measurements. Is it the right column (--score-column)?"]
        if len(distinct) >= 0.98 * len(found) and high - low + 1 <= 1.5 * len(found):
            said = f"the scores are whole numbers from {low:g} to {high:g}, each once: ranks, rather than measurements"
            return [f"{said}. Distances between ranks mean nothing; Spearman's correlation does."]
    return _two_scales(found)


def odd_errors(name: str, kind: str, values: np.ndarray) -> list[str]:
    """Sentence about errors of a score (float64 [n]) that no measurement has: they count as unknown.

    Other kinds of columns than deviations and standard errors give none.
    """
    if kind not in (DEVIATION, ERROR):
        return []
    impossible = values[np.isinf(values) | (values <= 0)]
    if not len(impossible):
        return []
    shown = ", ".join(f"{value:g}" for value in np.unique(impossible)[:_SHOWN])
    return [
        f"{len(impossible):,} values of {name!r} ({kind}) are not above 0 ({shown}): these errors count as unknown"
    ]


def _two_scales(found: np.ndarray) -> list[str]:
    """Detect a gap between small and large scores, each of which varies like one assay."""
    size = np.sort(np.abs(found[found != 0]))
    begin, end = int(0.05 * len(size)), int(0.95 * len(size))
    if end - begin < _FEW:
        return []
    ratio = size[begin + 1 : end + 1] / size[begin:end]
    place = int(np.argmax(ratio))
    if ratio[place] < _GAP:
        return []
    below, above = np.log10(size[: begin + place + 1]), np.log10(size[begin + place + 1 :])
    spread = [float(np.subtract(*np.percentile(side, (75, 25)))) for side in (below, above)]
    if min(spread) < 0.02 or max(spread) > 4 * min(spread):
        return []
    sizes = f"at most {10 ** below[-1]:.3g} in size, {len(above):,} at least {10 ** above[0]:.3g}"
    sides = f"{len(below):,} scores are {sizes}"
    return [
        f"{sides}, none between: they may be in two scales, such as fractions and percent. Bring them to one."
    ]
