"""`transform.*`: from measured rows to clean sequences and targets. Read by the transform stage."""

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema, field_validator

from proteinx_pipelines.flags.base import FlagGroup, Range, from_list, from_names

MOST_BINS = 20
"""Most thresholds of `transform.bins`."""
_NUMBERS: dict[str, Any] = {
    "anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "maxItems": MOST_BINS}]
}

DERIVED_COLUMNS = (
    "positions", "mutated_residues", "hydropathy_change", "charge_change", "volume_change", "score_bin",
)  # fmt: skip
"""Columns that `transform.derived` can add."""


class TransformFlags(FlagGroup):
    """From measured rows to clean sequences and targets; each rule looks at one variant at a time."""

    duplicates: Literal["mean", "median", "first", "error"] = "mean"
    """Several rows of one mutant (replicates): merge their scores, take the first, or fail."""
    synonymous: Literal["merge", "keep", "error"] = "merge"
    """Different mutants that are the same sequence (`D28A` and `D28A:N41N`): merge as `duplicates`
    says, keep, or fail."""
    missing: Literal["drop", "error"] = "drop"
    """Rows without a score."""
    stops: Literal["drop", "error"] = "drop"
    """Variants with a stop (`*`)."""
    unknown: Literal["drop", "error"] = "error"
    """Variants with letters other than the twenty amino acids, such as `X`."""
    clip: Range = Range()
    """Move scores outside this range to its ends (`min`, `max`), before `target`."""
    target: Literal["none", "log", "log2", "log10", "log1p", "exp", "negate"] = "none"
    """Function applied to each score by itself. `train.target` does scaling that uses other rows."""
    bins: Annotated[
        tuple[float, ...],
        from_list(MOST_BINS),
        BeforeValidator(lambda value: (value,) if isinstance(value, int | float) else value),
        WithJsonSchema(_NUMBERS),
    ] = ()
    """Cut the targets into ordered classes 0, 1, ...: one threshold (active or not), or several in ascending order
    (sorting gates), in the unit of the target, after `clip` and `target`; a value equal to one is above it. Models then
    predict the probability of being at or above each threshold (`p_at_least_1`, ... in `predictions.parquet`). No
    classes when empty.
    """
    derived: Annotated[
        tuple[Literal[DERIVED_COLUMNS], ...],  # type: ignore[valid-type]
        from_names(),
    ] = ()
    """Columns to add to the variant table: `positions`, `mutated_residues`, `hydropathy_change`,
    `charge_change`, `volume_change`, and `score_bin`, the catalog's DMS_score_bin (AUC and MCC then use it)."""

    @field_validator("bins")
    @classmethod
    def _thresholds_ascend(cls, thresholds: tuple[float, ...]) -> tuple[float, ...]:
        if any(low >= high for low, high in pairwise(thresholds)):
            found = ", ".join(f"{each:g}" for each in thresholds)
            raise ValueError(f"found the thresholds {found}; ascending ones are expected, each once")
        return thresholds
