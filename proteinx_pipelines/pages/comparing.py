"""The compare page: a ranking with paired intervals, the flags that differ, and overlaid curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from proteinx_pipelines.pages.figures.curve import Line, category, curve
from proteinx_pipelines.pages.figures.figure import Figure, unpacked
from proteinx_pipelines.pages.figures.parallel import parallel
from proteinx_pipelines.pages.figures.scatter import scatter
from proteinx_pipelines.pages.numbers import DASH, number, plain
from proteinx_pipelines.pages.render import render_page
from proteinx_pipelines.pages.table import Cell, Table, with_interval

_CURVES = ("learning_curve", "learning_curve_spearman", "calibration", "size_curve")
"""Pictures whose lines are drawn over each other."""
_DRAWN = {
    "learning_curve": "val",
    "learning_curve_spearman": "val",
    "calibration": "the model",
    "size_curve": "mean",
}
"""Line that represents an experiment in each picture; the first line if none has that name."""


class Ranked(Protocol):
    """A row of a leaderboard (`services.ranking.Row`)."""

    @property
    def experiment_id(self) -> str:
        """Its id."""

    @property
    def title(self) -> str:
        """Data, model and representation."""

    @property
    def split(self) -> str:
        """The split, in words."""

    @property
    def n_tested(self) -> int:
        """Number of variants tested."""

    @property
    def values(self) -> Mapping[str, float]:
        """Value by metric."""

    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]:
        """Interval by metric."""

    @property
    def within(self) -> Mapping[str, float]:
        """Mean of the values within each source, by metric; empty if there is only one source."""

    @property
    def difference(self) -> tuple[float, float, float] | None:
        """First metric: difference to the best and its interval; None for the best itself."""

    @property
    def beats_best(self) -> float | None:
        """Fraction of the resamples in which it beats the best."""


class Grouped(Protocol):
    """Runs of one experiment with several seeds (`services.seeds.SeedGroup`)."""

    @property
    def ids(self) -> Sequence[str]:
        """Ids of the runs."""

    @property
    def title(self) -> str:
        """Data, model and representation."""

    @property
    def means(self) -> Mapping[str, float]:
        """Mean over the runs, by metric."""

    @property
    def deviations(self) -> Mapping[str, float]:
        """Standard deviation over the runs, by metric."""


class Board(Protocol):
    """A leaderboard (`services.ranking.Leaderboard`)."""

    @property
    def rows(self) -> Sequence[Ranked]:
        """Rows from the best to the worst."""

    @property
    def metrics(self) -> Sequence[str]:
        """Metrics; the first one ranks."""

    @property
    def groups(self) -> Sequence[Grouped]:
        """Runs that differ in their seeds alone, best group first."""

    @property
    def notes(self) -> Sequence[str]:
        """Caveats to read before quoting a difference."""


@dataclass(frozen=True)
class Compared:
    """One experiment of the page."""

    experiment_id: str
    flags: Mapping[str, Any]
    """Dotted flags that differ from their defaults."""
    tree: Mapping[str, Any]
    """All flags, nested by their groups."""
    report: str
    """URL of its report relative to the page; empty if there is none."""
    figures: Sequence[Figure]
    """Pictures of its report."""


class Disagreement(Protocol):
    """Predictions of two experiments for the variants that both tested (`services.differences.Differences`)."""

    @property
    def first(self) -> str:
        """Id of the first experiment."""

    @property
    def second(self) -> str:
        """Id of the second experiment."""

    @property
    def mutants(self) -> Sequence[str]:
        """P variant names."""

    @property
    def measured(self) -> np.ndarray:
        """Targets, float64 [P]."""

    @property
    def predicted(self) -> tuple[np.ndarray, np.ndarray]:
        """Predictions of the first and the second experiment, float64 [P] each."""

    def largest(self) -> Sequence[int]:
        """Indices of the variants with the largest difference."""


def comparison_page(
    board: Board,
    experiments: Sequence[Compared],
    *,
    caption: str,
    seeds: Table | None = None,
    disagreement: Disagreement | None = None,
) -> str:
    """Render the compare page; arguments as `comparison`."""
    return render_page(
        "compare.html",
        **comparison(board, experiments, caption=caption, seeds=seeds, disagreement=disagreement),
    )


def comparison(
    board: Board,
    experiments: Sequence[Compared],
    *,
    caption: str,
    seeds: Table | None = None,
    disagreement: Disagreement | None = None,
) -> dict[str, Any]:
    """What `compare_parts.html` shows, on a page of any frame.

    Args:
        board: the ranking.
        experiments: of the board, in any order.
        caption: what the intervals are.
        seeds: runs that differ in their seeds alone, together; None where there are none.
        disagreement: of the two best, variant by variant; left out when None.
    """
    by_id = {each.experiment_id: each for each in experiments}
    ordered = [by_id[row.experiment_id] for row in board.rows if row.experiment_id in by_id] or [*experiments]
    differing = differing_flags(ordered)
    first = board.metrics[0]
    values = {row.experiment_id: row.values[first] for row in board.rows}
    lines = [values.get(each.experiment_id) for each in ordered]
    threads = parallel([each.experiment_id for each in ordered], differing, first, lines)
    return {
        "title": f"{len(ordered)} experiments by {first}",
        "notes": board.notes,
        "seeds": seeds,
        "ranking": ranking_table(board, caption),
        "differing": differing_table([each.experiment_id for each in ordered], differing),
        "threads": threads,
        "splits": Table(
            "splits", "Splits", ["experiment", "split", "tested variants"],
            [(row.experiment_id, row.split, row.n_tested) for row in board.rows],
        ),
        "links": [(each.experiment_id, each.report) for each in ordered if each.report],
        "figures": list(filter(None, (_over_each_other(name, ordered) for name in _CURVES))),
        "beside": _beside(disagreement) if disagreement else None,
        "largest": _largest(disagreement) if disagreement else None,
    }  # fmt: skip


def _beside(found: Disagreement) -> Figure:
    """Predictions of one experiment against those of the other."""
    finite = np.isfinite(found.predicted[0]) & np.isfinite(found.predicted[1])
    return scatter(
        found.predicted[0][finite],
        found.predicted[1][finite],
        [name for name, keep in zip(found.mutants, finite, strict=True) if keep],
        name="beside",
        title="Predictions of the two best",
        caption=f"{int(finite.sum()):,} variants that both tested; on the diagonal they agree.",
        alternative=f"Predictions of {found.first} against those of {found.second}",
        x_label=found.first,
        y_label=found.second,
    )


def _largest(found: Disagreement) -> Table:
    """The variants on which the two predictions differ most."""
    one, other = found.predicted
    rows: list[list[Cell]] = [
        [found.mutants[k], float(found.measured[k]), float(one[k]), float(other[k]), float(other[k] - one[k])]
        for k in found.largest()
    ]
    header = ["mutant", "measured", found.first, found.second, "difference"]
    return Table("differences", "Largest differences", header, rows)


def seeds_table(board: Board) -> Table:
    """List the mean and deviation of each group of runs over its seeds."""
    rows = [
        [
            ", ".join(group.ids),
            group.title,
            *(f"{number(group.means[name])} ± {number(group.deviations[name])}" for name in board.metrics),
        ]
        for group in board.groups
    ]
    return Table("seeds", "Over seeds", ["runs", "what", *board.metrics], rows)


def ranking_table(board: Board, caption: str) -> Table:
    """Rank experiments by the first metric, with intervals and the difference from the best."""
    rows: list[list[Cell]] = []
    for row in board.rows:
        cells: list[Cell] = [row.experiment_id, row.title]
        for name in board.metrics:
            low, high = row.intervals[name]
            within = {"source_mean": row.within[name]} if row.within else {}
            cells.append(with_interval({"value": row.values[name], "low": low, "high": high, **within}))
        if row.difference is None:
            cells += ["best", ""]
        else:
            gap, low, high = row.difference
            share = DASH if row.beats_best is None else f"{row.beats_best:.0%}"
            cells += [with_interval({"value": gap, "low": low, "high": high}), share]
        rows.append(cells)
    header = ["experiment", "what", *board.metrics, "less the best", "better in"]
    return Table("ranking", "Ranking", header, rows, caption, main=0)


def differing_flags(experiments: Sequence[Compared]) -> dict[str, list[Any]]:
    """Dotted flag -> its value in each experiment, of the flags that are not the same in all."""
    found = {}
    for name in sorted({name for each in experiments for name in each.flags}):
        values = [each.flags.get(name, _in_tree(each.tree, name)) for each in experiments]
        if len({json.dumps(value, sort_keys=True, default=str) for value in values}) > 1:
            found[name] = values
    return found


def differing_table(names: Sequence[str], flags: Mapping[str, Sequence[Any]]) -> Table:
    """The flags that differ, one row each.

    Args:
        names: of the experiments.
        flags: of `differing_flags`.
    """
    rows = [[name, *map(plain, values)] for name, values in flags.items()]
    return Table("flags", "Flags that differ", ["flag", *names], rows)


def _in_tree(tree: Mapping[str, Any], name: str) -> Any:
    found: Any = tree
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _over_each_other(name: str, experiments: Sequence[Compared]) -> Figure | None:
    """Line of each experiment in one picture; None where fewer than two have it."""
    found = [(each, figure) for each in experiments for figure in each.figures if figure.name == name]
    if len(found) < 2:
        return None
    lines = []
    for position, (each, figure) in enumerate(found):
        own = [line for line in figure.payload["lines"] if line["name"] == _DRAWN[name]] or figure.payload[
            "lines"
        ][:1]
        for line in own:
            x, y = (unpacked(line[axis]).astype(np.float64) for axis in ("x", "y"))
            lines.append(Line(each.experiment_id, x, y, category(position), thin=len(own) > 1))
    first = found[0][1]
    return curve(
        name, lines, title=first.title,
        caption=f"{len(found)} experiments over each other; the line of each is “{_DRAWN[name]}”.",
        alternative="; ".join(f"{line.name} ends at {line.y[-1]:.3g}" for line in lines[:8] if len(line.y)),
        x_label=first.payload["x"]["label"], y_label=first.payload["y"]["label"],
        diagonal=name == "calibration", logarithmic=bool(first.payload["x"].get("log")),
    )  # fmt: skip
