"""Does a split do what its name says? The rule that a name declares, checked against the mutants.

| name has | rule |
|---|---|
| `one_vs_rest`, `two_vs_many`, `3_vs_rest`, ... | training rows have at most n mutations, test rows more |
| `low_vs_high` | every test score is above every training score |
| `contiguous` | each mutated position is in one fold, and each fold is one run of positions |
| `modulo` | each mutated position is in one fold, and neighbours in the order of positions are in different ones |
| `random` | positions are spread: most of them are in several folds |

A name that declares no rule is not judged. Source of the problem: J-SNACKKB/FLIP, issue 28.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proteinx_pipelines.bench.plain_csv import read_csv

_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_VERSUS = re.compile(r"(?:^|_)(one|two|three|four|five|six|\d{1,2})_(?:vs|to)_(?:rest|many)(?:$|_)")
_TRAIN, _TEST, _NEITHER = (
    ("train", "training"),
    ("test", "testing"),
    ("", "none", "val", "validation", "valid"),
)
_MOST_PARTS = 50
"""Different values up to which a column is a split."""
_MOST_POSITIONS = 0.5
"""Share of the positions that must lie in several folds for a split to be random by variant."""


@dataclass(frozen=True)
class Rule:
    """A declared rule and what was found."""

    name: str
    rule: str
    """What the name says, in words."""
    holds: bool
    found: str
    """What is there, with its counts."""


def positions_of(mutant: str) -> tuple[int, ...]:
    """Mutated positions of a mutant; empty for the wild type."""
    return tuple(int(number) for number in re.findall(r"[A-Za-z*](-?\d+)[A-Za-z*]", mutant))


def check(
    name: str, mutants: Sequence[str], parts: Sequence[str], scores: Sequence[float | None]
) -> Rule | None:
    """Check one column of a split; None where its name declares no rule.

    Args:
        name: of the column.
        mutants: n names.
        parts: `train`/`test` or fold of each; empty where a row is in no part.
        scores: of each, where there is one.
    """
    lower = name.lower()
    if {part.lower() for part in parts} <= {*_TRAIN, *_TEST, *_NEITHER}:
        if found := _VERSUS.search(lower):
            return _versus(name, _COUNTS.get(found[1]) or int(found[1]), mutants, parts)
        if "low_vs_high" in lower or "low_to_high" in lower:
            return _low_high(name, parts, scores)
        return None
    for word, rule in (("contiguous", _contiguous), ("modulo", _modulo), ("random", _random)):
        if word in lower:
            return rule(name, _folds_by_position(mutants, parts))
    return None


def _versus(name: str, n: int, mutants: Sequence[str], parts: Sequence[str]) -> Rule:
    counts = np.array([len(positions_of(mutant)) for mutant in mutants])
    train, test = (np.array([part.lower() in words for part in parts]) for words in (_TRAIN, _TEST))
    wrong_train, wrong_test = int((counts[train] > n).sum()), int((counts[test] <= n).sum())
    most = int(counts[train].max()) if train.any() else 0
    least = int(counts[test].min()) if test.any() else 0
    found = (
        f"train has up to {most}, test from {least} mutations: {wrong_train} training rows with more than {n}, "
        f"{wrong_test} test rows with at most {n}"
    )
    holds = bool(train.any() and test.any() and wrong_train == 0 and wrong_test == 0)
    return Rule(name, f"train on at most {n} mutations, test on more", holds, found)


def _low_high(name: str, parts: Sequence[str], scores: Sequence[float | None]) -> Rule:
    value = np.array([np.nan if score is None else score for score in scores], np.float64)
    train, test = (np.array([part.lower() in words for part in parts]) for words in (_TRAIN, _TEST))
    high, low = np.nanmax(value[train], initial=-np.inf), np.nanmin(value[test], initial=np.inf)
    found = f"highest training score {high:.4g}, lowest test score {low:.4g}"
    return Rule(name, "test scores are above all training scores", bool(high < low), found)


def _folds_by_position(mutants: Sequence[str], parts: Sequence[str]) -> Mapping[int, set[str]]:
    found: dict[int, set[str]] = {}
    for mutant, part in zip(mutants, parts, strict=True):
        for position in positions_of(mutant) if part else ():
            found.setdefault(position, set()).add(part)
    return dict(sorted(found.items()))


def _contiguous(name: str, folds: Mapping[int, set[str]]) -> Rule:
    several = sum(len(found) > 1 for found in folds.values())
    order = [next(iter(found)) for found in folds.values() if len(found) == 1]
    runs = sum(one != other for one, other in itertools.pairwise(order)) + 1
    found = f"{several} of {len(folds)} positions in several folds; {len(set(order))} folds in {runs} runs"
    return Rule(name, "each fold is one run of positions", several == 0 and runs == len(set(order)), found)


def _modulo(name: str, folds: Mapping[int, set[str]]) -> Rule:
    several = sum(len(found) > 1 for found in folds.values())
    order = [next(iter(found)) for found in folds.values() if len(found) == 1]
    same = sum(one == other for one, other in itertools.pairwise(order))
    found = f"{several} of {len(folds)} positions in several folds; {same} neighbours in the same fold"
    return Rule(name, "positions take turns among the folds", several == 0 and same == 0, found)


def _random(name: str, folds: Mapping[int, set[str]]) -> Rule:
    several = sum(len(found) > 1 for found in folds.values())
    share = several / len(folds) if folds else 0.0
    found = f"{several} of {len(folds)} positions in several folds"
    return Rule(name, "variants are drawn, not positions", share >= _MOST_POSITIONS, found)


def rules_in(file: Path) -> list[Rule]:
    """Check every column of a file whose name declares a rule; empty for a file without mutants."""
    table = read_csv(file)
    if "mutant" not in table.column_names:
        return []
    mutants = [str(mutant) for mutant in table.column("mutant").to_pylist()]
    scored = next((name for name in ("DMS_score", "Fitness", "y") if name in table.column_names), None)
    scores = table.column(scored).to_pylist() if scored else [None] * len(mutants)
    found = []
    for name in table.column_names:
        parts = ["" if part is None else str(part) for part in table.column(name).to_pylist()]
        if len(set(parts)) <= _MOST_PARTS and (rule := check(name, mutants, parts, scores)) is not None:
            found.append(rule)
    return found
