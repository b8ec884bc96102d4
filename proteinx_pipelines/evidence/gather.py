"""Evidence of all templates from the files given: each is matched to a template, checked and described.

A file that does not fit is left out with a warning: the experiment then runs as without it. The stage `embedding`
calls this; its result travels with the embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proteinx_pipelines.errors import BadEvidence
from proteinx_pipelines.evidence import alignment_sites, structure_sites
from proteinx_pipelines.evidence.alignment_files import GAP, Rows, read_rows
from proteinx_pipelines.evidence.given import GivenFile
from proteinx_pipelines.evidence.matching import Match, match
from proteinx_pipelines.evidence.structure_files import Residues, read_residues
from proteinx_pipelines.records import AMINO_ACIDS, Evidence

LEAST_IDENTITY = 0.4
"""Share of equal residues below which a file is of another protein, and is not used."""
SAME_PROTEIN = 0.9
"""Share of equal residues below which a file is of a relative: used, with a warning."""
FEWEST_SITES = 10
SHALLOW = 20.0
"""Effective rows below which an alignment is called shallow."""
_LEAST_COVERED = 0.5
_LEAST_OF_SHORTER = 0.3
"""Share of the shorter sequence, template or file, that must be matched."""
_SHIFTS = tuple(range(-5, 6))
_CLEARLY = 1.5
"""Factor by which a shifted alignment must agree better with the template than the one given."""


@dataclass(frozen=True)
class GivenEvidence:
    """Files by source; the source None means every source that has none of its own."""

    files: Mapping[tuple[str, str | None], GivenFile] = field(default_factory=dict)
    """(kind, source) -> file."""

    def of(self, kind: str, source: str) -> GivenFile | None:
        """The file of a source."""
        return self.files.get((kind, source), self.files.get((kind, None)))


def gather(given: GivenEvidence, templates: Mapping[str, str]) -> Evidence | None:
    """Read, match and describe all files; None if none was given.

    Args:
        given: the files.
        templates: source -> template of the experiment's rows.

    Raises:
        BadEvidence: a file cannot be read, or has no chain of the name given.
        MissingPackage: a package that reads it is not installed.
    """
    if not given.files:
        return None
    sources = sorted(templates)
    warnings: list[str] = []
    info: dict[str, dict[str, Any]] = {"structure": {}, "alignment": {}}
    pieces: dict[str, dict[str, np.ndarray]] = {}
    read: dict[str, Residues] = {}
    for source in sources:
        pieces[source] = {}
        if (file := given.of("structure", source)) is not None:
            if file.sha256 not in read:
                read[file.sha256] = read_residues(file)
            found = _structure(file, read[file.sha256], source, templates[source], warnings)
            info["structure"][source], arrays = found
            pieces[source] |= arrays
        if (file := given.of("alignment", source)) is not None:
            rows = read_rows(file, templates[source])
            info["alignment"][source], arrays = _alignment(file, rows, source, templates[source], warnings)
            pieces[source] |= arrays
    return Evidence(sources, _stacked(pieces, templates), {**info, "warnings": warnings})


def _stacked(
    pieces: Mapping[str, Mapping[str, np.ndarray]], templates: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """float32 [T, L, columns] of each array that some source has."""
    length = max(map(len, templates.values()))
    widths = {name: array.shape[1] for arrays in pieces.values() for name, array in arrays.items()}
    found = {
        name: np.full((len(pieces), length, width), np.nan, np.float32) for name, width in widths.items()
    }
    for number, arrays in enumerate(pieces.values()):
        for name, array in arrays.items():
            found[name][number, : len(array)] = array
    return found


def _structure(
    file: GivenFile, residues: Residues, source: str, template: str, warnings: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts about a structure, and its arrays [L, columns]; none if it is not used."""
    chains = residues.chains()
    if file.chain is not None and file.chain not in chains:
        raise BadEvidence(
            f"{file.name} has no protein chain {file.chain!r}; it has {', '.join(chains)}. Name one of them with "
            "`data.chain`, or leave it out: the chain that fits the template best is taken."
        )
    sequences = {name: "".join(residues.letters[i] for i in _members(residues, name)) for name in chains}
    each = {sequence: match(sequence, template) for sequence in set(sequences.values())}
    matches = {name: each[sequence] for name, sequence in sequences.items()}
    best = max(chains, key=lambda name: matches[name].identity * matches[name].coverage)
    chain = file.chain or best
    found = matches[chain]
    known = _known(residues, chain, found)
    facts = {
        "file": file.name, "sha256": file.sha256, "chain": chain, "chains": chains,
        "kind": "predicted" if residues.is_predicted else "measured", **_facts(found),
        "sites": int(known.sum()), "used": _fits(found) and int(known.sum()) >= FEWEST_SITES,
    }  # fmt: skip
    if residues.is_predicted and found.sites:
        facts["confidence"] = round(
            float(residues.b_factor[_members(residues, chain)[found.index[found.index >= 0]]].mean()), 1
        )
    named = f"The structure {file.name}, chain {chain},"
    other = f" Chain {best} fits better." if best != chain and _fits(matches[best]) else ""
    _remark(named, "structure", source, found, warnings, other)
    if not facts["used"]:
        return facts, {}
    if known.sum() < _LEAST_COVERED * len(template):
        warnings.append(
            f"{named} covers {known.sum():,} of the {len(template):,} residues of {source}"
            + (" with a confidence of at least 50 (pLDDT)" if residues.is_predicted else "")
            + "; the other sites are treated as unknown."
        )
    members = _members(residues, chain)[found.index[known]]
    arrays = {
        "coordinates": np.full((len(template), 3), np.nan),
        "structure": np.full((len(template), len(structure_sites.COLUMNS)), np.nan),
        "packing": np.full((len(template), len(structure_sites.PACKING)), np.nan),
    }
    arrays["coordinates"][known] = residues.alpha[members]
    arrays["structure"][known] = structure_sites.describe_chain(residues, members)
    arrays["packing"][known] = structure_sites.describe_packing(residues, members)
    return facts, arrays


def _members(residues: Residues, chain: str) -> np.ndarray:
    return np.flatnonzero(residues.chain == chain)


def _known(residues: Residues, chain: str, found: Match) -> np.ndarray:
    """Bool [L]: sites with a residue, of enough confidence if it is predicted."""
    known = found.index >= 0
    if residues.is_predicted:
        confidence = residues.b_factor[_members(residues, chain)]
        known = known & (confidence[np.maximum(found.index, 0)] >= structure_sites.LEAST_CONFIDENCE)
    return np.asarray(known)


def _alignment(
    file: GivenFile, rows: Rows, source: str, template: str, warnings: list[str]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts about an alignment, and its arrays [L, columns]; none if it is not used."""
    found = match(rows.sequence, template)
    profile = alignment_sites.profile_of(rows)
    facts = {
        "file": file.name, "sha256": file.sha256, "target": rows.target, "rows": len(rows.tokens), **_facts(found),
        "rows_used": profile.rows, "effective_rows": round(profile.effective, 1), "sites": found.sites,
        "used": _fits(found),
    }  # fmt: skip
    named = f"The alignment {file.name}"
    _remark(named, "alignment", source, found, warnings, "")
    if not facts["used"]:
        return facts, {}
    shift = _better_shift(rows)
    if shift:
        facts["used"] = False
        warnings.append(
            f"{named} agrees better with its target {rows.target} when the other rows are moved by {shift:+d} columns: "
            f"it is shifted, and is not used for {source}. Align the sequences again."
        )
        return facts, {}
    if profile.effective < SHALLOW:
        warnings.append(
            f"{named} is shallow: {profile.rows:,} usable rows of {source}'s homologues count as "
            f"{profile.effective:.1f} after weighting at 80 % identity; {SHALLOW:.0f} or more are expected. Models use "
            "it as far as it helps on positions left out."
        )
    sites = found.index >= 0
    arrays = {
        "preferences": np.full((len(template), len(AMINO_ACIDS)), np.nan),
        "conservation": np.full((len(template), len(alignment_sites.COLUMNS)), np.nan),
    }
    arrays["preferences"][sites] = profile.preferences[found.index[sites]]
    arrays["conservation"][sites] = profile.conservation[found.index[sites]]
    return facts, arrays


def _better_shift(rows: Rows) -> int:
    """Number of columns by which the other rows agree clearly better with the target; 0 for an aligned file."""
    target, others = rows.tokens[0], rows.tokens[1:]
    length = len(target)
    shares = {}
    for shift in _SHIFTS:
        here = slice(max(0, -shift), min(length, length - shift))
        there = slice(max(0, shift), min(length, length + shift))
        both = (others[:, here] < GAP) & (target[there] < GAP)
        shares[shift] = float(((others[:, here] == target[there]) & both).sum() / max(1, both.sum()))
    best = max(shares, key=lambda shift: shares[shift])
    return best if best and shares[best] > _CLEARLY * shares[0] else 0


def _fits(found: Match) -> bool:
    """True for the protein or a relative; a few equal residues at overhanging ends are neither."""
    fewest = max(FEWEST_SITES, _LEAST_OF_SHORTER * min(found.length, len(found.index)))
    return found.identity >= LEAST_IDENTITY and found.sites >= fewest


def _facts(found: Match) -> dict[str, Any]:
    return {
        "identity": round(found.identity, 4), "coverage": round(found.coverage, 4), "offset": found.offset,
    }  # fmt: skip


def _remark(named: str, kind: str, source: str, found: Match, warnings: list[str], other: str) -> None:
    """Add the warning about a match that is not perfect."""
    percent = f"{100 * found.identity:.0f} % of {found.sites:,} matched residues are equal"
    if not _fits(found):
        warnings.append(
            f"{named} is not that of {source}: {percent} to the template's, at least {100 * LEAST_IDENTITY:.0f} % of "
            f"{FEWEST_SITES} or more are expected. It is not used; the results are those without it.{other} Give the "
            f"{kind} of the template, or correct the chain."
        )
    elif found.identity < SAME_PROTEIN:
        warnings.append(
            f"{named} is that of a relative of {source}: {percent} to the template's. It is used as far as it helps "
            f"on positions left out.{other}"
        )
