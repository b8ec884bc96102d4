"""Root scale of targets that are ratios of counts: never negative, with noise that grows with the value.

The square root makes the noise of a count even (Bartlett 1936, "The Square Root Transformation in Analysis of
Variance"); a process fitted on it is a warped Gaussian process (Snelson et al. 2004) with a fixed warp. Values on the
root scale are called latent here. Used by `gp` with the kernel `sites`.
"""

import numpy as np


def fits(targets: np.ndarray) -> bool:
    """True if targets (float64 [n]) may be ratios of counts: none is below zero, and not all are equal."""
    return bool(targets.min() >= 0 and np.ptp(targets) > 0)


def root(targets: np.ndarray) -> np.ndarray:
    """Square roots of targets >= 0."""
    return np.asarray(np.sqrt(targets))


def square(latent: np.ndarray) -> np.ndarray:
    """Square with its sign: a latent value below zero stays below those above."""
    return np.asarray(latent * np.abs(latent))


def spread(latent: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Deviation of a target: half of what two latent deviations add to the square.

    Mean plus two deviations is then the upper end of the process's own interval of 95 %, as without a root.
    """
    return np.asarray((square(latent + 2 * deviation) - square(latent)) / 2)
