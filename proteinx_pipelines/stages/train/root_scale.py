"""Root scale of targets that are ratios of counts: never negative, most of them small, a few large.

The cube root makes such values nearly normal (Wilson and Hilferty 1931, doi:10.1073/pnas.17.12.684, of gamma
distributions); a process fitted on it is a warped Gaussian process (Snelson et al. 2004) with a fixed warp. Values on
the root scale are called latent here. Used by `gp` with the kernel `sites`.
"""

import numpy as np

POWER = 3


def fits(targets: np.ndarray) -> bool:
    """True if targets (float64 [n]) may be ratios of counts: none is below zero, and not all are equal."""
    return bool(targets.min() >= 0 and np.ptp(targets) > 0)


def to_latent(targets: np.ndarray) -> np.ndarray:
    """Cube roots, float64 [n]."""
    return np.asarray(np.cbrt(targets))


def from_latent(latent: np.ndarray) -> np.ndarray:
    """Cubes, float64 [n]; in the order of the latent values, whatever their sign."""
    return np.asarray(latent**POWER)


def spread(latent: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Deviation of a target: half of what two latent deviations add to it, float64 [n].

    Mean plus two deviations is then the upper end of the process's own interval of 95 %, as without a root.
    """
    return np.asarray((from_latent(latent + 2 * deviation) - from_latent(latent)) / 2)
