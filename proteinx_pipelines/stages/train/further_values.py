"""Further properties that the model of a fold may see, where one model learns several.

Those of its training rows, and those of variants without a score, which are in no part. Never those of validation and
test rows: what is judged is a prediction from the sequence alone.

Where the split does not draw rows at random, a variant without a score is not seen if it has what the split asks of
test rows alone: a position that test rows change and no training row does, or more mutations than any training row.
With clusters none is seen, since it is in no cluster.
"""

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.reading import JOINT
from proteinx_pipelines.flags.split import SplitFlags, leaves_out_positions
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import PROPERTY, Fold, VariantTable
from proteinx_pipelines.stages.train.targets import fit_scaling
from proteinx_pipelines.stages.train.task import FitTask

AT_RANDOM = ("random", "stratified", "low_vs_high", "leave_p_out")
"""Methods of which every kind of test row is among the training rows; `leave_p_out` of variants."""
TARGET = "DMS_score"
"""Name of the target where `data.score` is null."""
FEWEST = 2
"""Fewest values of a further property that teach anything; one with fewer is left out of the fold."""


def further_values(variants: VariantTable, fold: Fold, flags: ExperimentFlags) -> dict[str, np.ndarray]:
    """Property -> float64 [N], scaled to mean 0 and deviation 1 over the rows that may be seen, NaN in all others.

    With `train.target` rank, normal scores of ranks among those rows. Empty unless several properties are learned; in
    alphabetical order.

    Raises:
        FlagError: several are to be learned, and the variants have the target alone.
    """
    if flags.model.tasks != JOINT:
        return {}
    if not variants.properties:
        text = (
            "`model.tasks` is 'joint', and these variants have no further property. Name some in `data.properties`, or "
            "set it to 'single' (simulated campaigns and benchmarks learn the target alone)"
        )
        raise FlagError([text])
    rows = np.concatenate([fold.train, _unscored(variants, fold, flags.split)])
    method = "rank" if flags.train.target == "rank" else "standardize"
    found = {}
    for name in sorted(variants.properties):
        values = variants.column(PROPERTY + name).astype(np.float64)
        seen = rows[np.isfinite(values[rows])]
        if len(seen) >= FEWEST:
            visible = np.full(len(values), np.nan)
            visible[seen] = fit_scaling(method, values[seen]).scale(values[seen])
            found[name] = visible
    return found


def names_of_tasks(task: FitTask) -> tuple[str, ...]:
    """The target's name, then those of the further properties that the fold sees."""
    return (task.flags.data.score or TARGET, *task.further)


def _unscored(variants: VariantTable, fold: Fold, flags: SplitFlags) -> np.ndarray:
    """Variants without a score that the fold may learn from, int64 [m], ascending."""
    rows = np.arange(variants.n_scored, variants.n_variants)
    draws = flags.method in AT_RANDOM and not leaves_out_positions(flags.method, flags.held_out)
    if not len(rows) or not len(fold.test) or draws:
        return rows
    if flags.method == "clusters":
        return rows[:0]
    sites = changed_sites(variants)
    trained, tested = (np.unique(sites.place[np.isin(sites.row, part)]) for part in (fold.train, fold.test))
    is_new = np.isin(sites.place, tested) & ~np.isin(sites.place, trained)
    is_asked = np.isin(rows, sites.row[is_new])
    counts = variants.column("mut_num")
    most, most_tested = (counts[part].max(initial=0) for part in (fold.train, fold.test))
    if most_tested > most:
        is_asked |= counts[rows] > most
    return rows[~is_asked]
