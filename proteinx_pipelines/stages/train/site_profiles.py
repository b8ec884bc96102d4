"""What a protein's measured substitutions tell of another one: above all those at the same site.

The measured substitutions of a site are its profile. Described are the profile itself, what residues like the asked one
do there, what sites with a similar profile do with it, the site's surroundings (`new_positions.Measured`), and how much
was measured. A substitution's own measurement is never part of its description: ask only for what is not measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import KIND, OF_KIND, properties, squared_distances
from proteinx_pipelines.stages.train.measured import Measured, correlation

VERSION = "1"
"""Part of a prior's file; raise it when the features or the form of the network change."""
N_EXPECTED = 7
"""Features that a prior gives, the first ones: effect and mean of the site, how well and how steeply effects follow
the measurements, and three values interpolated within the site."""
_N = len(AMINO_ACIDS)
_ALIKE = (0.15, 0.5)
"""Widths of the similarity of residues, in squared distances of their properties."""
_BLOSUM = 0.75
"""The same for BLOSUM62: similarity is exp(0.75 score)."""
_NEAREST, _FARTHEST = 3, 5.0
_NEIGHBOURS = (-4, -3, -2, -1, 1, 2, 3, 4)
_NOISE, _NOISE_BEYOND = (0.3, 1.0), 0.5
"""Variances of a measurement over that of a residue, for values interpolated within sites: of what is measured, and of
what the effects leave of it."""
_LOW_RANK = ((3, 3.0), (6, 1.5))
"""Ranks of the completed table of sites by residues, and what its singular values lose, in deviations."""
_ROUNDS = 25
_SITES_AT_ONCE = 500
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class SiteProfiles:
    """Training rows of one template, by site."""

    measured: Measured

    def features(self, position: np.ndarray, new: np.ndarray) -> np.ndarray:
        """float32 [m, c]: features of m substitutions that are not measured, without those of a prior."""
        profile, known = self.values[position], self.known[position]
        rows = np.arange(len(position))
        columns = [
            self.measured.features(position, new),
            profile,
            known,
            self._of_site[position],
            self._kinds[position],
            self._of_similar_residues(profile, known, new),
            *(table[position, new][:, None] for table in self._tables),
            np.column_stack([self._padded[position + 4 + apart, new] for apart in _NEIGHBOURS]),
            np.broadcast_to(self._of_protein, (len(rows), len(self._of_protein))),
            self._by_residue[new][:, None],
            self._ends[position],
        ]
        return np.concatenate(columns, axis=1).astype(np.float32)

    # ------------------------------------------------------------------ sites
    @cached_property
    def _by_residue(self) -> np.ndarray:
        """float64 [20]: mean of each new residue over the protein."""
        return self.measured.means_by_residue

    @cached_property
    def values(self) -> np.ndarray:
        """float64 [L, 20]: measured values less the mean of the new residue; 0 where nothing is measured."""
        found = np.zeros((len(self.measured.template), _N))
        found[self.measured.position, self.measured.new] = (
            self.measured.target - self._by_residue[self.measured.new]
        )
        return found

    @cached_property
    def known(self) -> np.ndarray:
        """float64 [L, 20]: 1 where a value is measured."""
        found = np.zeros((len(self.measured.template), _N))
        found[self.measured.position, self.measured.new] = 1.0
        return found

    @cached_property
    def _of_site(self) -> np.ndarray:
        """float64 [L, 5]: number, mean, deviation, highest and lowest of the measured values."""
        counts, total = self.known.sum(axis=1), self.values.sum(axis=1)
        mean = total / np.maximum(counts, 1)
        variance = (self.values**2).sum(axis=1) / np.maximum(counts, 1) - mean**2
        is_any = counts > 0
        highest = np.where(self.known > 0, self.values, -np.inf).max(axis=1, initial=-np.inf)
        lowest = np.where(self.known > 0, self.values, np.inf).min(axis=1, initial=np.inf)
        return np.column_stack(
            [
                counts,
                total / (counts + 1.0),
                np.sqrt(np.maximum(variance, 0.0)),
                np.where(is_any, highest, 0.0),
                np.where(is_any, lowest, 0.0),
            ]
        )

    @cached_property
    def _kinds(self) -> np.ndarray:
        """float64 [L, 8]: mean of each kind of residue, drawn towards 0."""
        return np.asarray((self.values @ OF_KIND) / (self.known @ OF_KIND + 0.5))

    @cached_property
    def _padded(self) -> np.ndarray:
        return np.pad(self.values, ((4, 4), (0, 0)))

    @cached_property
    def _ends(self) -> np.ndarray:
        """float64 [L, 2]: where along the chain, and how far from its nearer end."""
        length = len(self.measured.template)
        site = np.arange(length)
        return np.column_stack([site / length, np.minimum(site, length - 1 - site)])

    @cached_property
    def _of_protein(self) -> np.ndarray:
        """float64 [12]: how much was measured, and how the values are distributed."""
        targets, counts = self.measured.target, self.known.sum(axis=1)
        n_sites = max(int((counts > 0).sum()), 1)
        own = (self.values - (self.values.sum(axis=1) / np.maximum(counts, 1))[:, None]) * self.known
        left = targets - self._by_residue[self.measured.new]
        centred = targets - targets.mean()
        return np.array(
            [
                np.log(len(targets)), np.log(len(self.measured.template)), len(targets) / (19.0 * n_sites),
                (own**2).sum() / max(len(targets) - n_sites, 1), left.var(), (centred**3).mean(),
                (centred**4).mean(), *np.quantile(targets, _QUANTILES),
            ]
        )  # fmt: skip

    # ------------------------------------------------------------------ other residues at the same site
    def _of_similar_residues(self, profile: np.ndarray, known: np.ndarray, new: np.ndarray) -> np.ndarray:
        """float64 [m, 16]: what residues like the asked one do at the same site."""
        distance = squared_distances()
        columns = []
        for alike in (*(np.exp(-distance / width) for width in _ALIKE), np.exp(_BLOSUM * blosum62())):
            weight = alike[new]
            size = (weight * known).sum(axis=1)
            columns += [(weight * profile).sum(axis=1) / (size + 0.3 * alike.mean()), size]
        members = OF_KIND[:, KIND[new]].T
        columns.append((members * profile).sum(axis=1) / ((members * known).sum(axis=1) + 0.5))
        for scale in properties().T[:3]:
            weight = np.exp(-2.0 * (scale[None] - scale[new][:, None]) ** 2) * known
            columns.append((weight * profile).sum(axis=1) / (weight.sum(axis=1) + 0.5))
        apart = np.where(known > 0, distance[new], np.inf)
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :_NEAREST]
        apart = np.take_along_axis(apart, nearest, axis=1)
        values = np.take_along_axis(profile, nearest, axis=1)
        return np.column_stack(
            [*columns, np.where(np.isfinite(apart), values, 0.0), np.minimum(apart, _FARTHEST)]
        )

    # ------------------------------------------------------------------ tables of all substitutions
    @cached_property
    def _tables(self) -> list[np.ndarray]:
        """float64 [L, 20] each: every substitution, from the profiles of other sites."""
        return [*self._from_similar_sites(), *self._completed()]

    def interpolated(self, covariance: np.ndarray, profile: np.ndarray, noise: float) -> np.ndarray:
        """float64 [L, 20]: Gaussian interpolation of each site's profile.

        Values at a measured substitution contain its own measurement.

        Args:
            covariance: float [20, 20], of residues at one site.
            profile: float64 [L, 20], 0 where nothing is measured.
            noise: variance of a measurement, over the mean variance of a residue.
        """
        both = self.known[:, :, None] * self.known[:, None, :]
        own = np.where(self.known > 0, noise * np.trace(covariance) / _N, 1.0)  # unmeasured rows stand alone
        inner = covariance[None] * both + own[:, :, None] * np.eye(_N)[None]
        solved = np.linalg.solve(inner, profile[:, :, None])[:, :, 0]
        return np.asarray((solved * self.known) @ covariance)

    def _from_similar_sites(self) -> list[np.ndarray]:
        """Means over other sites with a similar profile: of all, and of those whose own residue is alike."""
        length, sites = len(self.values), np.flatnonzero(self.known.any(axis=1))
        found = [np.zeros_like(self.values) for _ in range(2 * len(_ALIKE))]
        for start in range(0, length, _SITES_AT_ONCE):
            asked = np.arange(start, min(length, start + _SITES_AT_ONCE))
            for table, values in zip(found, self._from_other_sites(asked, sites), strict=True):
                table[asked] = values
        return found

    def _from_other_sites(self, asked: np.ndarray, sites: np.ndarray) -> Iterator[np.ndarray]:
        """float64 [a, 20] each: of a asked sites, means over the measured ones, for every way of weighing."""
        profile, known, template = self.values, self.known, self.measured.template
        squares = profile**2
        variance = max(float(squares.sum() / max(known.sum(), 1)), 1e-6)
        shared = known[asked] @ known[sites].T
        apart = squares[asked] @ known[sites].T + known[asked] @ squares[sites].T
        apart -= 2 * profile[asked] @ profile[sites].T
        distance = (apart + 2.0 * variance) / (shared + 2.0)  # few shared residues count as a usual distance
        alike = np.exp(-squared_distances() / _ALIKE[1])[np.ix_(template[asked], template[sites])]
        is_other = asked[:, None] != sites[None]
        for width in _ALIKE:
            weight = np.exp(-distance / (width * variance)) * is_other
            for weights in (weight, weight * alike):
                least = 0.01 * weights.sum(axis=1, keepdims=True) + 1e-9
                yield (weights @ profile[sites]) / (weights @ known[sites] + least)

    def _completed(self) -> list[np.ndarray]:
        """Completion of the table at a low rank by soft thresholds (Mazumder, Hastie and Tibshirani 2010)."""
        profile, known = self.values, self.known > 0
        deviation = float(np.sqrt(max((profile**2).sum() / max(known.sum(), 1), 1e-6)))
        found = []
        for rank, loss in _LOW_RANK:
            table = np.zeros_like(profile)
            for _ in range(_ROUNDS):
                filled = np.where(known, profile, table)
                values, vectors = np.linalg.eigh(filled.T @ filled)  # 20 x 20, whatever the protein's length
                sizes = np.sqrt(np.maximum(values[-rank:], 1e-12))
                kept = np.maximum(sizes - loss * deviation, 0.0) / sizes
                table = (filled @ vectors[:, -rank:] * kept) @ vectors[:, -rank:].T
            found.append(table)
        return found


@dataclass(frozen=True)
class Expected:
    """What a prior says of a template, and what the measured substitutions make of it."""

    profiles: SiteProfiles
    effects: np.ndarray
    """float [L, 20], finite."""
    exchange: np.ndarray
    """float [20, 20]: covariance of what the effects leave of two residues at one site."""

    def features(self, position: np.ndarray, new: np.ndarray) -> np.ndarray:
        """float32 [m, `N_EXPECTED`]: features of m substitutions that are not measured."""
        agreement, slope = self._line
        columns = [
            self.effects[position, new],
            self.effects.mean(axis=1)[position],
            np.full(len(position), agreement),
            np.full(len(position), slope),
            *(table[position, new] for table in self._tables),
        ]
        return np.column_stack(columns).astype(np.float32)

    @property
    def _line(self) -> tuple[float, float]:
        """Correlation of the effects with what is measured, and slope of what is measured over the effects."""
        measured = self.profiles.measured
        here = self.effects[measured.position, measured.new]
        left, centred = self.profiles.values[measured.position, measured.new], here - here.mean()
        slope = float(left @ centred) / max(float(centred @ centred), 1e-9)
        return correlation(here, measured.target), slope

    @cached_property
    def _tables(self) -> list[np.ndarray]:
        """float64 [L, 20] each: values interpolated within sites, of two noises, and beyond the effects."""
        measured, profiles = self.profiles.measured, self.profiles
        rise = self._line[1] * (self.effects - self.effects[measured.position, measured.new].mean())
        beyond = profiles.values - rise * profiles.known
        return [
            *(profiles.interpolated(self.exchange, profiles.values, noise) for noise in _NOISE),
            profiles.interpolated(self.exchange, beyond, _NOISE_BEYOND) + rise,
        ]
