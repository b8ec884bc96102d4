"""Similarity of sites and mutations by structure, alignment and a prior, for the kernel of a Gaussian process.

Built from `records.Evidence` in training and from a model's own tensors in prediction; independent of measurements.
Sites without evidence are alike to none but themselves in these terms.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from proteinx_pipelines.evidence.structure_sites import COLUMNS
from proteinx_pipelines.evidence.values import (
    PRIOR_STRUCTURE,
    MutationsAt,
    burial,
    expected_effects,
    has,
    log_odds,
    standardised,
)
from proteinx_pipelines.records import AMINO_ACIDS, Evidence
from proteinx_pipelines.stages.train.amino_acids import SCALES, properties, similarity
from proteinx_pipelines.stages.train.sites import squared_apart
from proteinx_pipelines.stages.train.task import FitTask

KINDS = ("structure", "alignment", "prior")
ARRAYS = {
    "structure": ("coordinates", "structure"),
    "alignment": ("preferences", "conservation"),
    "prior": ("prior", "prior_modes", "prior_exchange"),
}
_PREFIX = "evidence."
REACH = 6.0
"""Distance of C-alpha atoms over which similarity falls to 1/e, in angstrom; set on GFP and GRB2."""
_SHIFT = COLUMNS.index("confidence")
_FOLD = (COLUMNS.index("helix"), COLUMNS.index("strand"))
_AROUND = [COLUMNS.index(f"around_{name}") for name in ("hydropathy", "volume", "charge")]
_HYDROPHOBIC = COLUMNS.index("hydrophobic_contacts")
_KINDS_OF_RESIDUE = list(SCALES)
_HELIX, _STRAND, _PROLINE = (_KINDS_OF_RESIDUE.index(name) for name in ("helix", "strand", "proline"))


@dataclass(frozen=True)
class EvidenceSites:
    """Arrays of T templates in the order of a model's templates."""

    templates: np.ndarray
    """uint8 [T, L] tokens."""
    arrays: Mapping[str, np.ndarray]
    """Arrays of `ARRAYS` for the kinds used, [T, L', columns]."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of evidence used."""
        return tuple(kind for kind in KINDS if ARRAYS[kind][0] in self.arrays)

    @property
    def site_terms(self) -> tuple[str, ...]:
        """Names of the matrices of `between_sites`."""
        structure = ("near", "surroundings", "surroundings_and_residue") if "structure" in self.kinds else ()
        return (
            *structure,
            *(("profile",) if "alignment" in self.kinds else ()),
            *(("sensitivity",) if "prior" in self.kinds else ()),
        )

    @property
    def mutation_terms(self) -> tuple[str, ...]:
        """Names of the tables of `of_mutations`."""
        return (
            *(f"{kind}_change" for kind in self.kinds),
            *(("prior_modes",) if "prior" in self.kinds else ()),
        )

    @property
    def exchange_terms(self) -> tuple[str, ...]:
        """Name of the similarity of residues at one site, if a prior has one."""
        return ("exchange",) if "prior" in self.kinds else ()

    def exchange(self, one: MutationsAt, other: MutationsAt) -> np.ndarray:
        """Covariance of the residues of two lists of mutations, as if at one site, float64 [M, M']."""
        last = len(AMINO_ACIDS) - 1
        # Pairs at one site are of one template: that of the first mutation.
        rows = self.exchange_tables[one.template, np.minimum(one.new, last)]
        return np.asarray(rows[:, np.minimum(other.new, last)])

    @cached_property
    def exchange_tables(self) -> np.ndarray:
        """Covariance of two residues at one site, float64 [T, 20, 20]."""
        n = len(AMINO_ACIDS)
        tables = np.nan_to_num(self.arrays["prior_exchange"][:, 0].astype(np.float64))
        return np.asarray(tables.reshape(-1, n, n))

    def tensors(self) -> dict[str, np.ndarray]:
        """Arrays for an exported model; `sites_in` reads them back."""
        return {f"{_PREFIX}{name}": array for name, array in self.arrays.items()}

    def between_sites(self, template: np.ndarray, position: np.ndarray) -> list[np.ndarray]:
        """Similarity of S sites, float64 [S, S] for each of `site_terms`, positive semi-definite, at most 1.

        Args:
            template: int64 [S], index of each site's template.
            position: int64 [S], from 0.
        """
        found = []
        same = (template[:, None] == template[None]) & (position[:, None] == position[None])
        if "structure" in self.kinds:
            place = self._at("coordinates", template, position)
            known = np.isfinite(place).all(axis=1)
            apart = np.linalg.norm(np.nan_to_num(place)[:, None] - np.nan_to_num(place)[None], axis=-1)
            both = known[:, None] & known[None] & (template[:, None] == template[None])
            found.append(np.where(both, np.exp(-apart / REACH), same.astype(np.float64)))
            values = self._structure[template, np.minimum(position, self._structure.shape[1] - 1)][:, :_SHIFT]
            alike = np.exp(-squared_apart(values) / (2 * values.shape[1])) * (known[:, None] & known[None])
            old = self.templates[template, position]
            found += [alike, alike * _residues(old)]
        if "alignment" in self.kinds:
            logs = self._at("preferences", template, position)
            known = np.isfinite(logs).all(axis=1)
            root = np.sqrt(np.exp(np.where(known[:, None], logs, 0.0)))
            found.append(
                np.exp(-squared_apart(root) / (2 * self._profile_scale)) * (known[:, None] & known[None])
            )
        if "prior" in self.kinds:
            effects = self._at("prior", template, position)
            known = np.isfinite(effects).all(axis=1)
            # Sites that the prior expects to be alike: mean effect, and effects of each residue.
            points = np.where(known[:, None], effects, 0.0)
            apart = squared_apart(points) / points.shape[1]
            found.append(np.exp(-apart / 2) * (known[:, None] & known[None]))
        return found

    def of_mutations(self, at: MutationsAt) -> list[tuple[np.ndarray, np.ndarray]]:
        """Description of M mutations for each of `mutation_terms`: float64 [M, c], and bool [M] where it is known."""
        found = []
        if "structure" in self.kinds:
            known = np.isfinite(self._at("coordinates", at.template, at.position)).all(axis=1)
            found.append((self._structure_change(at) * known[:, None], known))
        if "alignment" in self.kinds:
            known = np.isfinite(self._at("preferences", at.template, at.position)).all(axis=1)
            found.append((self._alignment_change(at) * known[:, None], known))
        if "prior" in self.kinds:
            known = np.isfinite(self._at("prior", at.template, at.position)).all(axis=1)
            found += [(self._expected(at)[:, None], known), (self._modes(at), known)]
        return found

    def features(self, at: MutationsAt) -> np.ndarray:
        """Columns for trees, float64 [M, c]: sites' values, and changes."""
        columns = []
        if "structure" in self.kinds:
            columns += [
                self._structure[at.template, self._place("structure", at)],
                self._structure_change(at),
            ]
        if "alignment" in self.kinds:
            columns += [self._alignment_change(at), self._column_scales(at)]
        if "prior" in self.kinds:
            here = np.nan_to_num(self._at("prior", at.template, at.position))
            columns.append(
                np.column_stack([self._expected(at), here.mean(axis=1), here.min(axis=1), self._modes(at)])
            )
        return np.concatenate(columns, axis=1)

    def _expected(self, at: MutationsAt) -> np.ndarray:
        """Effect of each mutation that the prior predicts, float64 [M], standardised over all of a template."""
        return expected_effects(self.arrays["prior"], at)

    def _modes(self, at: MutationsAt) -> np.ndarray:
        """Directions in which the effect of each mutation differs between assays, float64 [M, modes]."""
        values = self.arrays["prior_modes"]
        values = values.reshape(*values.shape[:2], -1, len(AMINO_ACIDS))
        modes = range(values.shape[2])
        return np.column_stack([expected_effects(values[:, :, mode], at) for mode in modes])

    def _structure_change(self, at: MutationsAt) -> np.ndarray:
        """Burial, and burial, surroundings and secondary structure times what the mutation changes, standardised."""
        raw = self._structure_raw(at)
        return np.asarray((raw - self._structure_scale[0]) / self._structure_scale[1])

    def _structure_raw(self, at: MutationsAt) -> np.ndarray:
        values, place = properties(), self._place("structure", at)
        old, new = _of_twenty(values, at.old), values[at.new]
        change = new - old
        buried = self._burial[at.template, place][:, None]
        here = self._structure[at.template, place]
        fold, around = here[:, _FOLD], here[:, _AROUND]
        columns = [
            buried, buried * change[:, :3], buried * np.abs(change[:, [1]]), buried * new[:, [_PROLINE]],
            buried * np.maximum(change[:, [1]], 0), buried * np.maximum(-change[:, [1]], 0),
            buried * np.maximum(-change[:, [0]], 0), buried * old[:, :3], around * change[:, :3],
            here[:, [_HYDROPHOBIC]] * change[:, [0]], change[:, :3], old, fold * change[:, [_HELIX, _STRAND]],
            fold * new[:, [_PROLINE]], new,
        ]  # fmt: skip
        return np.concatenate(columns, axis=1)

    def _alignment_change(self, at: MutationsAt) -> np.ndarray:
        """Log-odds, log frequencies of both residues, entropy, gaps, standardised over all single mutants."""
        raw = self._alignment_raw(at)
        return np.asarray((raw - self._alignment_scale[0]) / self._alignment_scale[1])

    def _alignment_raw(self, at: MutationsAt) -> np.ndarray:
        place = self._place("preferences", at)
        logs = np.nan_to_num(self.arrays["preferences"][at.template, place].astype(np.float64))
        rows, last = np.arange(len(logs)), len(AMINO_ACIDS) - 1
        here = MutationsAt(at.row, at.template, place, at.old, at.new)
        conserved = self._conserved[at.template, place][:, :2]
        columns = [
            log_odds(self.arrays["preferences"], here), logs[rows, np.minimum(at.new, last)],
            logs[rows, np.minimum(at.old, last)],
        ]  # fmt: skip
        return np.column_stack([*columns, conserved])

    def _column_scales(self, at: MutationsAt) -> np.ndarray:
        """Mean of four properties over the column's residues, and the new residue's distance from it."""
        place = self._place("preferences", at)
        logs = self.arrays["preferences"][at.template, place].astype(np.float64)
        share = np.where(np.isfinite(logs), np.exp(logs), 1 / len(AMINO_ACIDS))
        means = share @ properties()[:, :4]
        return np.concatenate([means, properties()[at.new][:, :4] - means], axis=1)

    def _place(self, name: str, at: MutationsAt) -> np.ndarray:
        """Positions in an array by site, int64 [M]: its last one for those beyond it."""
        return np.asarray(np.minimum(at.position, self.arrays[name].shape[1] - 1))

    @cached_property
    def _structure(self) -> np.ndarray:
        return standardised(self.arrays["structure"])

    @cached_property
    def _burial(self) -> np.ndarray:
        return burial(self._structure, tuple(COLUMNS))

    @cached_property
    def _conserved(self) -> np.ndarray:
        return standardised(self.arrays["conservation"])

    @cached_property
    def _alignment_scale(self) -> tuple[np.ndarray, np.ndarray]:
        raw = self._alignment_raw(self._every_mutation("preferences"))
        return raw.mean(axis=0), raw.std(axis=0) + 1e-9

    @cached_property
    def _structure_scale(self) -> tuple[np.ndarray, np.ndarray]:
        raw = self._structure_raw(self._every_mutation("structure"))
        return raw.mean(axis=0), raw.std(axis=0) + 1e-9

    def _every_mutation(self, name: str) -> MutationsAt:
        """Every single mutant of the sites that an array knows: what changes are standardised over."""
        known = np.isfinite(self.arrays[name]).all(axis=2)
        template, position = np.nonzero(known[:, : self.templates.shape[1]])
        residues = np.tile(np.arange(len(AMINO_ACIDS)), len(template))
        template, position = np.repeat(template, len(AMINO_ACIDS)), np.repeat(position, len(AMINO_ACIDS))
        old = self.templates[template, position].astype(np.int64)
        kept = old != residues
        return MutationsAt(np.arange(kept.sum()), template[kept], position[kept], old[kept], residues[kept])

    @cached_property
    def _profile_scale(self) -> float:
        logs = self.arrays["preferences"].reshape(-1, len(AMINO_ACIDS)).astype(np.float64)
        root = np.sqrt(np.exp(logs[np.isfinite(logs).all(axis=1)]))[:: max(1, len(logs) // 500)]
        squared = squared_apart(root)
        return max(float(np.median(squared[squared > 1e-12])) if (squared > 1e-12).any() else 1.0, 1e-6)

    def _at(self, name: str, template: np.ndarray, position: np.ndarray) -> np.ndarray:
        """float64 [S, c], NaN beyond the array."""
        array = self.arrays[name]
        inside = position < array.shape[1]
        found = array[template, np.minimum(position, array.shape[1] - 1)].astype(np.float64)
        return np.asarray(np.where(inside[:, None], found, np.nan))


def sites_of(
    evidence: Evidence | None, templates: np.ndarray, kinds: Sequence[str] = KINDS
) -> EvidenceSites | None:
    """Take the arrays of some kinds of evidence; None if there are none of them.

    Args:
        evidence: of T templates.
        templates: uint8 [T, L], in the same order.
        kinds: to take, where they are there.
    """
    if evidence is None:
        return None
    used = [kind for kind in kinds if has(evidence, ARRAYS[kind][0])]
    arrays = {name: evidence.arrays[name] for kind in used for name in ARRAYS[kind]}
    if {"structure", "prior"} <= set(used) and has(evidence, PRIOR_STRUCTURE):
        arrays["prior"] = evidence.arrays[
            PRIOR_STRUCTURE
        ]  # what the prior says of a protein with this structure
    return EvidenceSites(templates, arrays) if arrays else None


def kinds_given(task: FitTask) -> tuple[str, ...]:
    """Kinds of evidence that the task has for a model of mutations; none for vectors."""
    if task.embedding.tokens is None or task.embedding.evidence is None or not task.templates:
        return ()
    found = sites_of(task.embedding.evidence, np.zeros((len(task.templates), 1), np.uint8))
    return () if found is None else found.kinds


def subsets(kinds: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every subset of kinds, the largest first, the empty one last."""
    for size in range(len(kinds), -1, -1):
        yield from combinations(kinds, size)


def sites_in(tensors: Mapping[str, np.ndarray], templates: np.ndarray) -> EvidenceSites | None:
    """Evidence of an exported model; None if it has none."""
    arrays = {name.removeprefix(_PREFIX): each for name, each in tensors.items() if name.startswith(_PREFIX)}
    return EvidenceSites(templates, arrays) if arrays else None


def _of_twenty(values: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Properties of residues, 0 for one outside the twenty."""
    known = old < len(values)
    return np.asarray(values[np.minimum(old, len(values) - 1)] * known[:, None])


def _residues(old: np.ndarray) -> np.ndarray:
    """Similarity of the template's residues, [S, S]; a letter outside the twenty is like none."""
    known = old < len(AMINO_ACIDS)
    safe = np.minimum(old, len(AMINO_ACIDS) - 1)
    return np.asarray(similarity()[np.ix_(safe, safe)] * (known[:, None] & known[None]))
