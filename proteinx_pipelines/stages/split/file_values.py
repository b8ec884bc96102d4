"""Values of a split file: train, val, test, or the number of the fold that tests the row."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.errors import BadSplitFile
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.stages.split.assignment import TEST, TRAIN, UNUSED, VAL
from proteinx_pipelines.stages.split.split_file import SplitFile

_WORDS = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
_YES = ("true", "1", "1.0", "yes", "t", "y")
_NO = ("false", "0", "0.0", "no", "f", "n", "")
_FOLD_NUMBER = re.compile(r"([0-9]{1,9})(\.0+)?")
MAX_FOLDS = 1000
"""The maximum of `split.folds`."""
_SHOWN = 5


@dataclass(frozen=True)
class FileValues:
    """Parsed value of each line of a split file."""

    line: np.ndarray
    """int64 [lines], index into `rules` and the rows of `parts`."""
    rules: tuple[str, ...]
    """Meanings of lines, in words; the last one is for variants that no line names."""
    parts: np.ndarray
    """int8 [rules, K]: part codes of each rule."""
    info: Mapping[str, Any]
    """`fold_numbers` of the file in the order of the folds, where it has folds."""


def read_values(table: SplitFile, flags: SplitFlags, file_name: str) -> FileValues:
    """Read `split.column` and `split.val_column` of every line.

    Words are read without regard to case. A row whose fold number is *k* is tested in that fold and trained
    on in the others. Marks of `split.val_column` count where the row would be trained on. An empty value: in
    no part.

    Raises:
        BadSplitFile: a value is neither a part nor a fold number, or a mark neither true nor false; or rows
            for validation are both in the file and asked for with `split.fractions`; or 0 and 1 may be folds or
            classes. Correct the file or the flag.
    """
    texts, value = _distinct(table.values)
    parts, info = _parts(texts, flags, file_name)
    marked = _marks(table, flags, file_name)
    says = [f"`{flags.column}` of {file_name} " + (f"is {text!r}" if text else "is empty") for text in texts]
    rules = [*says, *(f"{words} and `{flags.val_column}` is true" for words in says), f"not in {file_name}"]
    unnamed = np.full((1, parts.shape[1]), UNUSED, np.int8)
    by_rule = np.concatenate([parts, np.where(parts == TRAIN, np.int8(VAL), parts), unnamed])
    line = value + len(texts) * marked
    if flags.fractions is not None and flags.fractions[1] > 0 and (by_rule[np.unique(line)] == VAL).any():
        name = flags.column if (parts == VAL).any() else flags.val_column
        raise BadSplitFile(
            f"`split.fractions` draws validation rows, and `{name}` of {file_name} has some already. "
            "Leave `split.fractions` out, or choose another column."
        )
    return FileValues(line, tuple(rules), by_rule, info)


def _distinct(column: pa.Array) -> tuple[list[str], np.ndarray]:
    """The distinct values, without spaces around them and in small letters, and each line's (int64)."""
    encoded = column.fill_null("").dictionary_encode()
    cleaned = [text.strip().lower() for text in encoded.dictionary.to_pylist()]
    texts = sorted(set(cleaned))
    places = {text: place for place, text in enumerate(texts)}
    place = np.array([places[text] for text in cleaned], np.int64)
    return texts, place[encoded.indices.to_numpy()]


def _parts(texts: list[str], flags: SplitFlags, file_name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """int8 [values, K] of part codes; empty values are unused."""
    given = [text for text in texts if text]
    if given and all(text in _WORDS for text in given):
        if flags.folds is not None:
            raise BadSplitFile(
                f"`{flags.column}` of {file_name} holds parts, not fold numbers, and `split.folds` says {flags.folds}. "
                "Leave `split.folds` out, or name another column in `split.column`."
            )
        return np.array([[_WORDS.get(text, UNUSED)] for text in texts], np.int8), {}
    has_words = any(text in _WORDS for text in given)
    unknown = [
        text for text in given if text not in _WORDS and (has_words or not _FOLD_NUMBER.fullmatch(text))
    ]
    if unknown or not given:
        found = ", ".join(map(repr, unknown[:_SHOWN])) or "nothing"
        raise BadSplitFile(
            f"`{flags.column}` of {file_name} holds {found}; train, val and test are expected, or a fold "
            "number (0, 1, 2, ...) in every row. Name another column in `split.column`, or mend the file."
        )
    return _fold_parts(texts, flags, file_name)


def _fold_parts(texts: list[str], flags: SplitFlags, file_name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """The same where every value is a number, or empty."""
    numbers = [_FOLD_NUMBER.fullmatch(text) for text in texts]
    folds = np.array([int(number[1]) if number else -1 for number in numbers])
    fold_numbers = np.unique(folds[folds >= 0])
    if flags.folds is not None and len(fold_numbers) != flags.folds:
        raise BadSplitFile(
            f"`{flags.column}` of {file_name} holds {len(fold_numbers)} different fold numbers, and `split.folds` says "
            f"{flags.folds}. Name another column in `split.column`, or mend the flag."
        )
    if flags.folds is None and fold_numbers.tolist() == [0, 1] and "fold" not in str(flags.column).lower():
        raise BadSplitFile(
            f"`{flags.column}` of {file_name} holds 0 and 1: the numbers of two folds, or classes, or a mark of test "
            "rows? Say `split.folds=2` if each of the two is tested by a model trained on the other; write train and "
            "test if one of them is to be tested; or name another column in `split.column`."
        )
    if len(fold_numbers) > MAX_FOLDS:
        raise BadSplitFile(
            f"`{flags.column}` of {file_name} holds {len(fold_numbers)} different fold numbers; at most "
            f"{MAX_FOLDS} are expected. Name another column in `split.column`."
        )
    parts = np.where(folds[:, None] == fold_numbers, np.int8(TEST), np.int8(TRAIN))
    parts[folds < 0] = UNUSED
    return parts, {"fold_numbers": fold_numbers.tolist()}


def _marks(table: SplitFile, flags: SplitFlags, file_name: str) -> np.ndarray:
    """bool: lines marked by `split.val_column`."""
    if table.marks is None:
        return np.zeros(table.n_lines, bool)
    texts, value = _distinct(table.marks)
    unknown = [text for text in texts if text not in (*_YES, *_NO)]
    if unknown:
        found = ", ".join(map(repr, unknown[:_SHOWN]))
        raise BadSplitFile(
            f"`{flags.val_column}` of {file_name} holds {found}; true or false (or nothing) is expected. "
            "Name another column in `split.val_column`, or mend the file."
        )
    return np.asarray(np.array([text in _YES for text in texts], bool)[value])
