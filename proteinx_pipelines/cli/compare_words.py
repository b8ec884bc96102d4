"""Text that the ranking of `proteinx compare` shows on a terminal and on a page."""

from typing import TYPE_CHECKING

from proteinx_pipelines.cli.terminal import number

if TYPE_CHECKING:
    from proteinx_pipelines.services.ranking import Leaderboard
    from proteinx_pipelines.services.seeds import SeedGroup

SEEDS_CAPTION = "Mean ± standard deviation over the runs; differences are of runs with the same seeds."


def names(group: "SeedGroup") -> str:
    """`gb1-s0 ... gb1-s4`: the runs of a group."""
    return group.ids[0] if len(group.ids) == 1 else f"{group.ids[0]} ... {group.ids[-1]}"


def group_gap(group: "SeedGroup", best: "SeedGroup") -> str:
    """Difference between a group and the best one, paired by seed."""
    if group is best:
        return "best"
    if group.difference is None:
        return "no seeds in common"
    mean, deviation, n = group.difference
    return f"{number(mean)} ± {number(deviation)} (n={n})"


def means(board: "Leaderboard", group: "SeedGroup") -> list[str]:
    """`0.61 ± 0.04` for each metric."""
    return [f"{number(group.means[name])} ± {number(group.deviations[name])}" for name in board.metrics]


def caption(board: "Leaderboard") -> str:
    """Caption that explains the numbers of a ranking."""
    several = any(row.within for row in board.rows)
    return (
        f"{board.n_common:,} variants that all of them tested; in brackets {100 * board.level:g} % bootstrap "
        f"intervals, {board.resamples:,} resamples of {board.unit}, paired. 'better in': in which share "
        "of them it beats the best."
        + (" ◇, 'within sources': mean of the values within each source." if several else "")
    )
