"""Kernel of mutations that also compares sites by structure and alignment.

The mutation kernel's two parts and, for each kind of evidence, similarities of sites (alone, and times the similarity
of the new residues) and of mutations (linear and Gaussian). Weights are parameters; `left_out` chooses them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from proteinx_pipelines.evidence.values import MutationsAt
from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.evidence_sites import EvidenceSites
from proteinx_pipelines.stages.train.kernels import SAME, SAME_RESIDUE, Pieces
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.sites import site_kernels

_START = {"specific": 1.0, "shared": 1.0, "exchange": 0.5, "variance": 0.3, "length": 1.0}
_FIRST = 3
"""Terms before those of evidence: the mutation kernel's two, and an effect of the site on every residue alike."""
_OTHERS = 0.2
"""Initial weight of a term of evidence."""
_BLOCK_NUMBERS = 1 << 16
"""Similarities computed at once: half a megabyte."""


class EvidenceKernel:
    """Sum over pairs of mutations, one from each row, of weighted similarities; `kernels.Kernel`."""

    def __init__(self, templates: np.ndarray, sites: EvidenceSites, *, epistasis: bool) -> None:
        """Store the templates.

        Args:
            templates: uint8 [T, L] tokens, padding at the ends only.
            sites: evidence about them.
            epistasis: add a Gaussian of the distance that the sum defines, for rows of several mutations.
        """
        self._templates = [line[line < len(similarity())].astype(np.int64) for line in templates]
        self._tokens, self.sites, self._epistasis = templates, sites, epistasis
        self.terms: tuple[str, ...] = (
            "specific", "shared", "site",
            *(f"{name}{ending}" for name in sites.site_terms for ending in ("", "_by_residue")),
            *(f"{name}{ending}" for name in sites.mutation_terms for ending in ("", "_gaussian")),
            *sites.exchange_terms,
        )  # fmt: skip
        """Names of the weighted terms, in the order of the parameters."""
        names = (*self.terms, *(("variance", "length") if epistasis else ()))
        self.start = np.log([_START.get(name, _OTHERS) for name in names])

    def pieces(self, one: MutationList, other: MutationList) -> Pieces:
        """Compare distinct mutations site by site; `combine` makes the covariance."""
        found: tuple[Any, ...] = (self._compare(one, other),)
        if self._epistasis:
            found = (*found, self._compare(one, one), self._compare(other, other))
        return found

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Weigh the terms, sum over pairs of mutations, and add the Gaussian of the distance."""
        comparison, *own = pieces
        weights = np.exp(parameters[: len(self.terms)])
        total = comparison.rows(comparison.weighted(weights))  # type: ignore[attr-defined]
        if self._epistasis:
            mine, theirs = (each.own(weights) for each in own)  # type: ignore[attr-defined]
            squared = np.maximum(mine[:, None] + theirs[None] - 2 * total, 0.0)
            total = total + np.exp(parameters[-2] - squared / (2 * np.exp(parameters[-1])))
        return np.asarray(total)

    def diagonal(self, rows: MutationList, parameters: np.ndarray) -> np.ndarray:
        """Each row with itself, float64 [n]."""
        total = self._compare(rows, rows).own(np.exp(parameters[: len(self.terms)]))
        return np.asarray(total + np.exp(parameters[-2]) if self._epistasis else total)

    def each_term(self, rows: MutationList) -> np.ndarray:
        """Each of the k `terms` between all rows, float64 [k, n, n]."""
        comparison = self._compare(rows, rows)
        unit = np.eye(len(self.terms))
        return np.array([comparison.rows(comparison.weighted(weights)) for weights in unit])

    @property
    def is_additive(self) -> bool:
        """True if a row's value is the sum of the values of its mutations."""
        return not self._epistasis

    def distinct(self, rows: MutationList) -> "DistinctMutations":
        """Distinct mutations of rows, with the residues that they replace."""
        return DistinctMutations.of(rows, self._tokens)

    def _compare(self, one: MutationList, other: MutationList) -> "_Comparison":
        return _Comparison(self, self.distinct(one), self.distinct(other))

    def weighted_sites(
        self, weights: np.ndarray, matrices: list[tuple[np.ndarray, bool]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the matrices of `between_sites`: for any residues, and by similar residues, float64 [S, S] each."""
        # "shared" weighs both matrices of the mutation kernel; each further matrix has its own weight.
        shares = [weights[1], weights[1], *weights[_FIRST : self._n_sites]]
        found = {False: np.zeros((1, 1)), True: np.zeros((1, 1))}
        for weight, (matrix, is_by_residue) in zip(shares, matrices, strict=True):
            found[is_by_residue] = found[is_by_residue] + weight * matrix
        return found[False], found[True]

    def change_weights(self, weights: np.ndarray) -> list[tuple[float, float]]:
        """Weights of the linear and of the Gaussian term of each table of `EvidenceSites.of_mutations`."""
        first = self._n_sites
        return [
            (float(weights[first + 2 * number]), float(weights[first + 2 * number + 1]))
            for number in range(len(self.sites.mutation_terms))
        ]

    @property
    def _n_sites(self) -> int:
        """Number of terms before those of mutations."""
        return _FIRST + 2 * len(self.sites.site_terms)

    def between_sites(self, template: np.ndarray, position: np.ndarray) -> list[tuple[np.ndarray, bool]]:
        """Site matrices of all terms after the first, and whether each is weighed by the residues' similarity."""
        base = site_kernels(self._templates, template, position)
        found = [(base.any_residue, False), (base.by_residue, True)]
        for matrix in self.sites.between_sites(template, position):
            found += [(matrix, False), (matrix, True)]
        return found


@dataclass(frozen=True)
class DistinctMutations:
    """Distinct mutations of n rows."""

    at: MutationsAt
    """The u distinct mutations; `row` numbers them."""
    row: np.ndarray
    """int64 [M]: row of each mutation."""
    index: np.ndarray
    """int64 [M]: distinct mutation of each."""
    n_rows: int

    @classmethod
    def of(cls, rows: MutationList, templates: np.ndarray) -> "DistinctMutations":
        """Find the distinct mutations of rows; `templates` uint8 [T, L] has the residues that they replace."""
        codes = (rows.template << 29) + (rows.position << 5) + rows.residue
        known, index = np.unique(codes, return_inverse=True)
        template, position = known >> 29, (known >> 5) & ((1 << 24) - 1)
        old = templates[template, position].astype(np.int64)
        at = MutationsAt(np.arange(len(known)), template, position, old, known & 31)
        return cls(at, rows.row, index, rows.n_rows)

    @property
    def is_single(self) -> bool:
        """True if row i has one mutation, for every i."""
        return len(self.row) == self.n_rows and bool((self.row == np.arange(self.n_rows)).all())

    def incidence(self) -> Any:
        """Sparse float64 [n, u]."""
        from scipy import sparse  # deferred: SciPy is not needed to load definitions

        shape = (self.n_rows, len(self.at.row))
        return sparse.csr_matrix((np.ones(len(self.row)), (self.row, self.index)), shape=shape)


@dataclass(frozen=True)
class _Comparison:
    """Two lists of distinct mutations, u and v of them, compared on demand under weights."""

    kernel: EvidenceKernel
    one: DistinctMutations
    other: DistinctMutations

    def weighted(self, weights: np.ndarray) -> np.ndarray:
        """Weighted similarity of distinct mutations, float64 [u, v]; sites are weighed before they are spread."""
        sites = self.kernel.weighted_sites(weights, self._sites[2])
        found = np.empty((len(self.one.at.new), len(self.other.at.new)))
        step = max(1, _BLOCK_NUMBERS // max(1, found.shape[1]))
        for first in range(0, len(found), step):
            part = slice(first, first + step)
            found[part] = self._weighted(weights, sites, part)
        return found

    def _weighted(self, weights: np.ndarray, sites: tuple[np.ndarray, np.ndarray], part: slice) -> np.ndarray:
        """Some rows of `weighted`, so few that what is computed on the way stays in the processor's cache."""
        i, j, _ = self._sites
        i, (any_residue, by_residue) = i[part], sites
        alike = similarity()[np.ix_(self.one.at.new[part], self.other.at.new)]
        found = by_residue[np.ix_(i, j)] * alike + any_residue[np.ix_(i, j)]
        if weights[0] or weights[2]:
            found += (i[:, None] == j[None]) * (weights[2] + weights[0] * (SAME + SAME_RESIDUE * alike))
        changes = zip(self.kernel.change_weights(weights), self._changes, strict=True)
        for (linear, gaussian), ((all_mine, all_known), (theirs, known)) in changes:
            mine = all_mine[part]
            width = mine.shape[1]
            product = mine @ theirs.T
            if linear:
                found += (linear / width) * product
            if gaussian:
                squared = (mine**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1)[None] - 2 * product
                both = all_known[part][:, None] & known[None]
                found += gaussian * both * np.exp(-np.maximum(squared, 0.0) / (2 * width))
        if self.kernel.sites.exchange_terms and weights[-1]:
            exchanged = self.kernel.sites.exchange(self.one.at.take(part), self.other.at)
            found += weights[-1] * (i[:, None] == j[None]) * exchanged
        return np.asarray(found)

    def rows(self, similar: np.ndarray) -> np.ndarray:
        """Sum [u, v] over the pairs of mutations of each pair of rows, [n, m]."""
        if self.one.is_single and self.other.is_single:
            return np.asarray(similar[np.ix_(self.one.index, self.other.index)])
        return np.asarray(self.one.incidence() @ similar @ self.other.incidence().T)

    def own(self, weights: np.ndarray) -> np.ndarray:
        """Each row with itself, float64 [n]; the two lists must be the same."""
        incidence = self.one.incidence()
        return np.asarray(incidence.multiply(incidence @ self.weighted(weights)).sum(axis=1)).ravel()

    @cached_property
    def _sites(self) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, bool]]]:
        """Site of each mutation of the two lists, int64 [u] and [v], and the matrices between the S sites."""
        i, j, template, position = sites_of_both(self.one.at, self.other.at)
        return i, j, self.kernel.between_sites(template, position)

    @cached_property
    def _changes(self) -> list[tuple[Any, Any]]:
        sites = self.kernel.sites
        return list(zip(sites.of_mutations(self.one.at), sites.of_mutations(self.other.at), strict=True))


def sites_of_both(one: MutationsAt, other: MutationsAt) -> tuple[np.ndarray, ...]:
    """Number of each mutation's site in two lists, int64 [u] and [v], and the S sites' templates and positions."""
    keys = [(at.template << 24) + at.position for at in (one, other)]
    sites, index = np.unique(np.concatenate(keys), return_inverse=True)
    return index[: len(keys[0])], index[len(keys[0]) :], sites >> 24, sites & ((1 << 24) - 1)
