"""Features and similarities of sites from the template's sequence: neighbours, helix turns, surroundings.

Used by the mutation kernel (similarity of two sites) and by boosting (features of one site). Independent of
measurements.
"""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.stages.train.amino_acids import properties, similarity

_REACH = np.arange(-15, 16)
TURN = 3.6
"""Residues in one turn of an alpha helix (Pauling, Corey and Branson 1951, PNAS 37:205)."""
_AVERAGED = [0, 1, 2, 3, 4, 6]
"""Properties averaged over windows: hydropathy, volume, charge, helix, strand, proline."""


@dataclass(frozen=True)
class SiteKernels:
    """Similarity of S sites, each matrix float64 [S, S], positive semi-definite."""

    any_residue: np.ndarray
    """For effects of a site that do not depend on the new residue."""
    by_residue: np.ndarray
    """For effects that depend on the new residue."""


def window_features(template: np.ndarray) -> np.ndarray:
    """float64 [L, 18]: surroundings of each site, standardised over the template.

    Averages of six properties over narrow and wide windows (the site itself left out), hydropathy and volume
    in the phase of a helix and of a strand, and the nearness of both ends.

    Args:
        template: int64 [L], tokens of a sequence.
    """
    values = properties()[template][:, _AVERAGED]
    apart = (_REACH != 0).astype(np.float64)
    narrow = _averaged(values, np.exp(-(_REACH**2) / (2 * 1.5**2)) * apart)
    wide = _averaged(values, np.exp(-(_REACH**2) / (2 * 5.0**2)) * apart)
    helix = np.cos(2 * np.pi * _REACH / TURN) * np.exp(-(_REACH**2) / (2 * 5.0**2)) * apart
    strand = np.cos(np.pi * _REACH) * np.exp(-(_REACH**2) / (2 * 2.5**2)) * apart
    here = np.arange(len(template))
    ends = np.exp(-np.stack([here, here[::-1]], axis=1) / 4.0)
    columns = [narrow, wide, 2 * _averaged(values[:, :2], helix), 2 * _averaged(values[:, :2], strand), ends]
    found = np.concatenate(columns, axis=1)
    return np.asarray((found - found.mean(axis=0)) / (found.std(axis=0) + 1e-9))


def site_kernels(templates: list[np.ndarray], template: np.ndarray, position: np.ndarray) -> SiteKernels:
    """Compute the similarity of different sites; the caller adds its own term for the same site.

    Weighted sum of: nearness (over 2.5 and 10 residues), the phase of a helix and of a strand, the same kind of
    wild-type residue, similar surroundings, and the product of the last two. Only the last three apply between
    sites of different templates. The weights were set by hand.

    Args:
        templates: int64 [L] tokens each.
        template: int64 [S], index of the template of each site.
        position: int64 [S], from 0.
    """
    windows = [window_features(tokens) for tokens in templates]
    lengths = np.array([len(tokens) for tokens in templates])
    begins = (np.cumsum(lengths) - lengths)[template] + position
    surroundings = np.concatenate(windows)[begins] / np.sqrt(windows[0].shape[1])
    residue = np.concatenate(templates)[begins]
    squared = squared_apart(surroundings)
    window, kind = np.exp(-squared / 2.0), similarity()[np.ix_(residue, residue)]
    both = kind * np.exp(-squared / 0.8)
    apart = np.abs(position[:, None] - position[None]).astype(np.float64)
    apart[template[:, None] != template[None]] = np.inf
    near, mid = np.exp(-apart / 2.5), np.exp(-apart / 10.0)
    finite = np.where(np.isfinite(apart), apart, 0.0)
    helix = np.exp(-apart / 8) * (1 + np.cos(2 * np.pi * finite / TURN)) / 2
    strand = np.exp(-apart / 4) * (1 + np.cos(np.pi * finite)) / 2
    return SiteKernels(
        any_residue=0.02 * near + 0.05 * mid + 0.20 * helix + 0.01 * strand + 0.10 * kind + 0.20 * window
        + 0.20 * both,
        by_residue=0.035 * near + 0.018 * mid + 0.07 * helix + 0.007 * strand + 0.10 * kind + 0.07 * window
        + 0.21 * both + 0.02,
    )  # fmt: skip


def _averaged(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float64 [L, c]: weighted sums over the window divided by the weights' sizes that lie inside."""
    length = len(values)
    total, size = np.zeros_like(values), np.zeros(length)
    for offset, weight in zip(_REACH, weights, strict=True):
        begin, end = max(0, -int(offset)), min(length, length - int(offset))
        if begin < end:
            total[begin:end] += weight * values[begin + int(offset) : end + int(offset)]
            size[begin:end] += abs(weight)
    return np.asarray(total / np.maximum(size, 1e-12)[:, None])


def squared_apart(points: np.ndarray, asked: np.ndarray | None = None) -> np.ndarray:
    """float64 [S, P]: squared distances of some of P points (float64 [P, c]) from all; of every one without `asked`."""
    norms = (points**2).sum(axis=1)
    some, own = (points, norms) if asked is None else (points[asked], norms[asked])
    return np.asarray(np.maximum(own[:, None] + norms[None] - 2 * some @ points.T, 0.0))
