"""Choice of flags on inner folds, inside the training rows of each fold: `train.search` with `split.inner_folds`.

The passes of nested cross-validation (`split.passes`) have the same tested rows and another validation part each. For
every outer fold, each candidate is trained on all its passes and scored on their validation rows; the best one then
trains the models that are exported and tested. A test row is neither trained on nor scored.

Candidates are the whole grid, or `train.search_trials` of them that Optuna asks for (extra `search`), as it must where
a flag has a range instead of a list.
"""

import itertools
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import MissingPackage, TrainingDiverged
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.train import Span
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Fold, Split

Values = Mapping[str, Any]
"""Dotted flag -> value."""
Score = Callable[[ExperimentFlags, Fold, ExperimentDir], float]
"""Trains on a fold with these flags, in a scratch directory; the metric of its validation rows."""
_FILE = "search_{outer}.json"


def searched(
    flags: ExperimentFlags, split: Split, fold: int, seed: int, *, directory: ExperimentDir,
    monitor: StageMonitor, score: Score,
) -> tuple[ExperimentFlags, dict[str, Any]]:  # fmt: skip
    """Choose the flags of a fold; they are kept for the other passes of its outer fold, and for a later attempt.

    Args:
        flags: `train.search` and its kin, `split.inner_folds`.
        split: all folds.
        fold: number of the fold.
        seed: of Optuna's draws, and of inner folds of a split that has none.
        directory: keeps what was tried, in `shards/`.
        monitor: receives progress.
        score: of one training.

    Returns:
        The flags with the chosen values, and for `training.json` the choice and all that was tried.

    Raises:
        MissingPackage: Optuna is needed and not installed.
    """
    outer, inner = _inner_folds(flags, split, fold, seed)
    kept = directory.shards_dir / _FILE.format(outer=outer)
    if kept.is_file():
        found = read_json(kept)
        return with_values(flags, found["chosen"]), found
    best = -math.inf
    chosen: Values = {}
    tried: list[dict[str, Any]] = []
    lower = metrics.metric(flags.train.search_metric).lower_is_better
    with tempfile.TemporaryDirectory(dir=directory.root, prefix=".search-") as scratch:

        def judge(values: Values) -> float:
            place = ExperimentDir(Path(scratch) / f"trial_{len(tried)}", directory.experiment_id)
            candidate = with_values(flags, values)
            each = [_judged(score, candidate, part, place) for part in inner]
            mean = float(np.mean(each)) if np.isfinite(each).all() else math.nan
            tried.append({"values": dict(values), "score": mean if math.isfinite(mean) else None})
            monitor.progress(0, 1, f"search: {len(tried)} tried")
            return (-mean if lower else mean) if math.isfinite(mean) else -math.inf

        for values, result in _trials(flags, seed, judge):
            if result > best or not chosen:
                best, chosen = result, values
    found = {
        "chosen": dict(chosen),
        "metric": flags.train.search_metric,
        "inner_folds": len(inner),
        "tried": tried,
    }
    write_json(kept, found)
    return with_values(flags, chosen), found


def with_values(flags: ExperimentFlags, values: Values) -> ExperimentFlags:
    """The flags with these values, and without a search."""
    changed: dict[str, dict[str, Any]] = {"model": {}, "train": {"search": {}}}
    for dotted, value in values.items():
        group, _, name = dotted.partition(".")
        changed[group][name] = value
    groups = {}
    for group, update in changed.items():
        before = getattr(flags, group)
        groups[group] = type(before).model_validate({**before.model_dump(), **update})
    return flags.model_copy(update=groups)


def _judged(score: Score, flags: ExperimentFlags, fold: Fold, place: ExperimentDir) -> float:
    place.root.mkdir(parents=True, exist_ok=True)
    try:
        return score(flags, fold, place)
    except TrainingDiverged:
        return math.nan  # a learning rate that is too large is a bad candidate, not an error


def _inner_folds(flags: ExperimentFlags, split: Split, fold: int, seed: int) -> tuple[int, list[Fold]]:
    """Number of the outer fold, and its inner folds: the passes of a nested split, else random parts."""
    n_inner = flags.split.inner_folds or 2
    if split.info.get("pass_kind") == "inner fold":
        n_outer = len(split.folds) // n_inner
        outer = fold % n_outer
        return outer, [split.folds[outer + number * n_outer] for number in range(n_inner)]
    rows = np.sort(np.concatenate([split.folds[fold].train, split.folds[fold].val]))
    place = np.random.default_rng([seed, fold]).permutation(len(rows)) % n_inner
    none = rows[:0]
    return fold, [Fold(rows[place != number], rows[place == number], none) for number in range(n_inner)]


def _trials(
    flags: ExperimentFlags, seed: int, judge: Callable[[Values], float]
) -> Iterator[tuple[Values, float]]:
    space, n_trials = flags.train.space, flags.train.search_trials
    if n_trials is None:
        names = list(space)
        for values in itertools.product(*space.values()):
            candidate = dict(zip(names, values, strict=True))
            yield candidate, judge(candidate)
        return
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage(
            "`train.search_trials` asks Optuna what to try next, and it is not installed. Install it with: "
            "pip install 'proteinx-infra[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed % 2**32))
    for _ in range(n_trials):
        trial = study.ask()
        candidate = {name: _asked(trial, name, choices) for name, choices in space.items()}
        result = judge(candidate)
        study.tell(trial, result if math.isfinite(result) else -1e300)
        yield candidate, result


def _asked(trial: Any, name: str, choices: Any) -> Any:
    if isinstance(choices, Span):
        if choices.whole:
            return trial.suggest_int(name, int(choices.low), int(choices.high), log=choices.log)
        return trial.suggest_float(name, choices.low, choices.high, log=choices.log)
    return choices[trial.suggest_categorical(name, list(range(len(choices))))]
