"""Reason of each row's assignment, as one sentence: the rule and the part.

Millions of rows share few sentences, so each is stored once (a dictionary array).
"""

import numpy as np
import pyarrow as pa

from proteinx_pipelines.stages.split.assignment import (
    PART_NAMES,
    TEST,
    TRAIN,
    UNUSED,
    VAL,
    Assignment,
    distinct_rows,
)


def reasons(assignment: Assignment, *, val_is_drawn: bool) -> pa.DictionaryArray:
    """One sentence for each of N rows, such as `2 mutations, more than 1: test.`.

    Args:
        assignment: final parts.
        val_is_drawn: True if validation rows were drawn from the training rows of the method.
    """
    first, place = distinct_rows(assignment.parts)
    places = [_place(assignment.parts[row], val_is_drawn) for row in first]
    combined, index = np.unique(assignment.rule * max(1, len(places)) + place, return_inverse=True)
    sentences = [
        f"{assignment.rules[rule]}: {places[where]}."
        for rule, where in zip(*np.divmod(combined, max(1, len(places))), strict=True)
    ]
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(sentences, pa.string()))


def _place(parts: np.ndarray, val_is_drawn: bool) -> str:
    names: list[str] = list(PART_NAMES)
    names[UNUSED] = "in no part"
    if val_is_drawn:
        names[VAL] = "val (drawn from the training rows)"
    if len(parts) == 1:
        return names[int(parts[0])]
    phrases = [
        f"{names[part]} in {_folds(np.flatnonzero(parts == part))}"
        for part in (TEST, VAL, UNUSED)
        if (parts == part).any()
    ]
    n_train = int((parts == TRAIN).sum())
    if n_train == len(parts):
        return "train in every fold"
    return "; ".join([*phrases, f"train in the other {n_train}"] if n_train else phrases)


def _folds(folds: np.ndarray) -> str:
    return f"fold{'' if len(folds) == 1 else 's'} {', '.join(str(fold) for fold in folds)}"
