"""Interval of a share: so many of n, such as starts that found the best variant, or test rows above a threshold."""

import numpy as np


def wilson(found: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Ends of the interval of a share at a level, within 0 and 1; `n` is at least 1.

    Source:
        Wilson 1927, J. Am. Stat. Assoc. 22:209, doi:10.1080/01621459.1927.10502953.
    """
    from scipy.special import ndtri  # deferred: SciPy is not needed to load definitions

    z, share = float(ndtri(0.5 + level / 2)), found / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))
