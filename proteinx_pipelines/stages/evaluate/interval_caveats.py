"""Warnings about intervals: too few resamples for the level, too few positions or variants to draw."""

from collections.abc import Iterator

from proteinx_pipelines.flags.evaluate import IN_EACH_TAIL, EvaluateFlags, enough_resamples
from proteinx_pipelines.resampling.units import FEWEST_GROUPS
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.intervals import Drawn, resamples_of


def about_intervals(flags: EvaluateFlags, drawn: Drawn, n_tested: int) -> Iterator[Caveat]:
    """Warnings about the report's intervals.

    Args:
        flags: `evaluate.*`.
        drawn: what they draw.
        n_tested: test rows of one pass.
    """
    if not resamples_of(flags):
        return
    outside = resamples_of(flags) * (1 - flags.ci) / 2
    if outside < IN_EACH_TAIL and resamples_of(flags) < enough_resamples(flags.ci):
        yield caveat(
            "few_resamples",
            n=resamples_of(flags),
            level=flags.ci,
            outside=outside,
            enough=enough_resamples(flags.ci),
        )
    if drawn.unit == "positions" and drawn.n_positions < FEWEST_GROUPS <= n_tested:
        yield caveat("few_positions", n=drawn.n_positions, least=FEWEST_GROUPS)
