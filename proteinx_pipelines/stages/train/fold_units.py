"""Units of a fold: what is fitted by itself, one part of one seed, and the one predictor that they make together."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.averaging import averaged, part_of
from proteinx_pipelines.stages.train.ensemble import EnsemblePredictor, Member
from proteinx_pipelines.stages.train.fold_task import task_of
from proteinx_pipelines.stages.train.shard import Shard, ShardInputs, member_seed
from proteinx_pipelines.stages.train.task import Fit, FitTask, MemberMonitor


@dataclass(frozen=True)
class Unit:
    """What is fitted by itself within a fold: one part of one seed."""

    member: int = 0
    """Number within `train.seeds`."""
    part: int = 0
    """Number within `train.parts`."""


def units_of(flags: ExperimentFlags) -> list[Unit]:
    """What is fitted of each fold: one unit, or one for each of `train.seeds` and `train.parts`."""
    return [Unit(member, part) for member in range(n_seeds(flags)) for part in range(n_parts(flags))]


def fit_unit(
    shard: Shard, inputs: ShardInputs, unit: Unit, *, directory: ExperimentDir, monitor: StageMonitor
) -> Fit:
    """Fit one unit of a fold, and export nothing: `run_shard` combines them."""
    task, _scaling, _unlike = task_of(shard, inputs, directory, monitor, None)
    return _fit_unit(inputs, task, shard, unit)


def fit_fold(inputs: ShardInputs, task: FitTask, shard: Shard) -> Fit:
    """Fit the model, or one for each of `train.seeds`, which then predict as one."""
    units = units_of(inputs.flags)
    if len(units) == 1:
        return inputs.entry.load().fit(task)
    return joined_fits(inputs, shard, [_fit_unit(inputs, task, shard, unit) for unit in units])


def _fit_unit(inputs: ShardInputs, task: FitTask, shard: Shard, unit: Unit) -> Fit:
    units, seed = units_of(inputs.flags), member_seed(inputs.flags.train.seed, shard.fold, unit.member)
    is_first = unit == Unit()
    own = replace(
        task, seed=seed, member=unit.member, part=unit.part,
        fold=part_of(task.fold, unit.part, n_parts(inputs.flags), shard.seed),
        monitor=MemberMonitor(task.monitor, units.index(unit), len(units)),
        checkpoint=task.checkpoint if is_first and n_parts(inputs.flags) == 1 else None,
    )  # fmt: skip
    if not is_first:  # its earlier attempt is not continued: the same seed gives the same model
        shutil.rmtree(own.directory.checkpoints_dir / own.fold_name, ignore_errors=True)
    return inputs.entry.load().fit(own)


def joined_fits(inputs: ShardInputs, shard: Shard, fits: Sequence[Fit]) -> Fit:
    """Average the parts of each seed, and let the seeds predict as one; `fits` are in the order of `units_of`."""
    n, parts = n_seeds(inputs.flags), n_parts(inputs.flags)
    fold = inputs.split.folds[shard.fold]
    sizes = [len(part_of(fold, part, parts, shard.seed).train) for part in range(parts)]
    members = [averaged(inputs.entry.name, fits[k * parts : (k + 1) * parts], sizes) for k in range(n)]
    if n == 1:
        return members[0]
    seeds = [member_seed(inputs.flags.train.seed, shard.fold, member) for member in range(n)]
    further = {"seeds": seeds, "members": [dict(fit.info) for fit in members[1:]]}
    return Fit(EnsemblePredictor([Member(fit.predictor) for fit in members]), {**members[0].info, **further})


def n_seeds(flags: ExperimentFlags) -> int:
    """Number of models of each fold; 1 for a model on which seeds have no effect."""
    return effective(flags).train.seeds


def n_parts(flags: ExperimentFlags) -> int:
    """Number of parts of the training rows of each model; 1 for a model that is no network."""
    return effective(flags).train.parts
