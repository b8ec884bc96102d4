"""What measured sites tell of others that are near in a structure, or lie in it alike.

Read by the network of new positions that was learned with structures (`new_positions`). A position's own measurements
are never among its features. A site outside of the structure has features of 0, and is none of another's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from proteinx_pipelines.stages.train.amino_acids import KIND, KINDS
from proteinx_pipelines.stages.train.measured import Measured
from proteinx_pipelines.stages.train.sites import squared_apart
from proteinx_pipelines.stages.train.structure_effects import N_COMPARED, N_SITE_FEATURES, ProteinSites

_WIDTHS = (4.0, 8.0)
"""Distances of C-alpha atoms over which sites count by 1/e, angstrom."""
_ALIKE = (0.3, 0.8)
"""The same in mean squared differences of standardised site features."""
_FAR = 10.0
"""Width of the distance, angstrom, that goes with likeness."""
_SITES = 0.3
"""Sites with mean 0 that each mean is drawn towards 0 by."""
_N_KERNELS = 6
_NEAREST, _ALIKEST = 1, 3
"""Kernels by which kinds of residues are averaged: the wider distance, the wider likeness."""
N_FEATURES = 2 * _N_KERNELS + 2 + len(KINDS) + N_SITE_FEATURES
"""Number of features."""


@dataclass(frozen=True)
class NearSites:
    """Training rows of one template, and its structure."""

    measured: Measured
    sites: ProteinSites

    def features(self, position: np.ndarray, new: np.ndarray) -> np.ndarray:
        """float64 [m, `N_FEATURES`]: features of m substitutions, as if their positions were not measured.

        Means over other sites by each kernel and how many there are; what they do with the new kind of residue, near
        ones and alike ones; what alike ones do with every kind; the site in the structure.
        """
        asked, index = np.unique(position, return_inverse=True)
        means, sizes, near, alike = self._around(asked)
        rows, of_new = np.arange(len(position)), KIND[new]
        at_kind = np.column_stack([near[index][rows, of_new], alike[index][rows, of_new]])
        here = self.sites.features[position]
        return np.concatenate([means[index], sizes[index], at_kind, alike[index], here], axis=1)

    def _around(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of s sites: means and sizes by each kernel, float64 [s, 6]; by kind of residue of near and of alike ones."""
        values, kinds = self.measured.of_sites, self.measured.kinds_of_sites
        weights = [kernel * self._weight[None] for kernel in self._kernels(asked)]
        sizes = np.column_stack([weight.sum(axis=1) for weight in weights])
        means = np.column_stack([weight @ values for weight in weights]) / (sizes + _SITES)
        near, alike = ((weights[k] @ kinds) / (sizes[:, [k]] + _SITES) for k in (_NEAREST, _ALIKEST))
        return means, sizes, near, alike

    @cached_property
    def _weight(self) -> np.ndarray:
        """float64 [L]: weight of each site, 0 outside the structure."""
        return np.asarray(self.measured.weight_of_sites * self._known)

    @cached_property
    def _known(self) -> np.ndarray:
        return np.asarray(np.isfinite(self.sites.coordinates).all(axis=1))

    def _kernels(self, asked: np.ndarray) -> list[np.ndarray]:
        """float64 [s, L] each: how much other sites count for each asked one, itself not."""
        place = np.nan_to_num(self.sites.coordinates)
        apart = np.sqrt(squared_apart(place, asked))
        compared = self.sites.features[:, :N_COMPARED]
        unlike = squared_apart(compared, asked) / N_COMPARED
        other = (
            (asked[:, None] != np.arange(len(place))[None]) & self._known[None] & self._known[asked][:, None]
        )
        same = self.measured.template[asked][:, None] == self.measured.template[None]
        close, wide = (np.exp(-unlike / width) for width in _ALIKE)
        kernels = [
            *(np.exp(-apart / width) for width in _WIDTHS), close, wide, wide * np.exp(-apart / _FAR), wide * same
        ]  # fmt: skip
        return [kernel * other for kernel in kernels]
