"""Disagreement of two experiments: the variants that both tested, with both predictions."""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.services.ranking import Evaluated

LISTED = 20
"""Number of variants listed, largest difference first."""


@dataclass(frozen=True)
class Differences:
    """Predictions of two experiments on the P variants that both tested."""

    first: str
    second: str
    """Ids of the variants."""
    mutants: list[str]
    """P names in the users' numbering."""
    measured: np.ndarray
    """Targets, float64 [P]."""
    predicted: tuple[np.ndarray, np.ndarray]
    """Predictions of the first and the second experiment, float64 [P] each."""

    def largest(self) -> list[int]:
        """Indices of the variants with the largest difference, at most `LISTED`."""
        gap = np.abs(self.predicted[0] - self.predicted[1])
        return [int(k) for k in np.argsort(-gap, kind="stable")[:LISTED]]


def differences(first: Evaluated, second: Evaluated) -> Differences | None:
    """Pair both experiments' test predictions; None where they tested no variant in common.

    A variant that was tested several times counts with its first prediction.
    """
    one, other = (
        found[found.part == "test"].drop_duplicates("id").set_index("id")
        for found in (first.predictions, second.predictions)
    )
    common = one.index.intersection(other.index)
    if not len(common):
        return None
    one, other = one.loc[common], other.loc[common]
    return Differences(
        first.id,
        second.id,
        [str(name) for name in one.get("mutant", common)],
        one["target"].to_numpy(np.float64),
        (one["prediction"].to_numpy(np.float64), other["prediction"].to_numpy(np.float64)),
    )
