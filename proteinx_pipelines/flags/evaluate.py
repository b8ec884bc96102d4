"""`evaluate.*`: content of the report. Read by the evaluate stage; changing it trains nothing again."""

import math
from typing import Annotated, Literal

from pydantic import Field, field_validator

from proteinx_pipelines.flags.base import FlagGroup, Name, from_list, from_names

IN_EACH_TAIL = 20
"""Resamples that lie outside of an interval on each side, at least, for its ends to be stable."""
_MOST_BY_DEFAULT = 10_000
DEFAULT_METRICS = ("spearman", "pearson", "mse", "ndcg", "top10_recall")


class EvaluateFlags(FlagGroup):
    """Content of the report."""

    metrics: Annotated[
        tuple[Annotated[Name, Field(examples=["spearman"])], ...], Field(min_length=1), from_names(50)
    ] = DEFAULT_METRICS
    """Metrics by name: `spearman`, `pearson`, `mse`, `mae`, `r2`, `ndcg`, `top1_recall`, `top5_recall`,
    `top10_recall`, `top20_recall`, or one that a plugin registers. AUC and MCC of the binned score are always in the
    report.
    """
    bootstrap: int | None = Field(None, ge=0, le=100_000)
    """Bootstrap resamples of the test rows for confidence intervals; 0 for none. When null, enough for the level: 20
    outside of the interval on each side, so 800 for 95 %.
    """
    resample: Literal["variants", "positions"] | None = None
    """What is drawn: single `variants`, or all variants of a position together (`positions`), whose errors are alike.
    When null, positions where the split tests positions that are not trained on, else variants. The report has the
    model's intervals of both.
    """
    ci: float = Field(0.95, gt=0, lt=1)
    """Level of the confidence intervals, as a fraction."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the bootstrap."""
    plots: bool = True
    """Draw the pictures of the report."""
    png: bool = False
    """Also write each picture as PNG beside its SVG; needs the package's extra `png`."""
    train_fractions: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], from_list(20)] = ()
    """Learning curve: train again on these fractions of the training rows, three draws each, and report the test
    metrics against training-set size. For models without epochs; not computed when empty.
    """

    @field_validator("metrics")
    @classmethod
    def _none_is_there_twice(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"metric {', '.join(map(repr, twice))} is listed twice; list each once")
        return names


def enough_resamples(level: float) -> int:
    """Number of resamples that leaves `IN_EACH_TAIL` outside of an interval of that level on each side."""
    return min(_MOST_BY_DEFAULT, math.ceil(round(2 * IN_EACH_TAIL / (1 - level), 6)))
