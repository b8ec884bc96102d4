"""Scores of a file: one column, or the mean of replicates, and further measured columns."""

import warnings
from dataclasses import dataclass, field

import numpy as np

from proteinx_pipelines.variant_files.columns import Roles
from proteinx_pipelines.variant_files.error_columns import (
    COUNT,
    DEVIATION,
    ERROR,
    PLUS_MINUS,
    VALUES_IN_MEAN,
    deviation_of_replicates,
)
from proteinx_pipelines.variant_files.numbers import Numbers, read_numbers
from proteinx_pipelines.variant_files.text_table import TextTable

SCORE_KIND, REPLICATE = "score", "replicate"


@dataclass(frozen=True)
class FurtherColumn:
    """Numbers beside the score."""

    name: str
    """As in the file, or a computed column: `deviation of 3 replicates`."""
    kind: str
    values: np.ndarray
    """float64 [n], NaN where there is no value."""


@dataclass
class Measurements:
    """Measurements of n rows."""

    scores: np.ndarray
    """float64 [n], NaN where nothing was measured."""
    bad: dict[int, str] = field(default_factory=dict)
    """Row -> the cell that is not a number."""
    further: list[FurtherColumn] = field(default_factory=list)


def read_measurements(table: TextTable, roles: Roles, decimal: str | None) -> Measurements:
    """Read the score, replicates, deviations and errors.

    Raises:
        CatalogError: a column has two units, or its commas are ambiguous.
    """
    replicates = [_read(table, place, decimal) for place in roles.replicates]
    if roles.score is not None:
        score = _read(table, roles.score, decimal)
        result = Measurements(score.values, _bad_cells(table, roles.score, score))
        table.understood.facts |= {f"{fact} of the score": value for fact, value in score.facts.items()}
        result.further += _plus_minus(table.names[roles.score], score)
    elif replicates:
        result = _mean_of(table, roles, replicates)
    else:
        result = Measurements(np.full(table.n_rows, np.nan))
    for place, numbers in zip(roles.replicates, replicates, strict=True):
        result.further.append(FurtherColumn(table.names[place], REPLICATE, numbers.values))
    beside_score = (
        (roles.deviation, DEVIATION),
        (roles.error, ERROR),
        *roles.named_errors,
        (roles.values, COUNT),
    )
    for beside, kind in beside_score:
        if beside is not None:
            values = _read(table, beside, decimal).values
            result.further.append(FurtherColumn(table.names[beside], kind, values))
    for place in roles.further:
        other = _read(table, place, decimal)
        result.bad |= _bad_cells(table, place, other)
        result.further.append(FurtherColumn(table.names[place], SCORE_KIND, other.values))
        result.further += _plus_minus(table.names[place], other)
    return result


def _read(table: TextTable, place: int, decimal: str | None) -> Numbers:
    return read_numbers(table.columns[place], table.names[place], decimal)


def _plus_minus(name: str, numbers: Numbers) -> list[FurtherColumn]:
    """The column of errors of cells such as `1.3 ± 0.2`, if there are any."""
    return [] if numbers.errors is None else [FurtherColumn(PLUS_MINUS + name, DEVIATION, numbers.errors)]


def _bad_cells(table: TextTable, place: int, numbers: Numbers) -> dict[int, str]:
    text = table.text(place)
    return {int(row): str(text[int(row)].as_py()) for row in np.flatnonzero(numbers.bad)}


def _mean_of(table: TextTable, roles: Roles, replicates: list[Numbers]) -> Measurements:
    """Mean and deviation (n - 1) of each row's values; a row with one value has no deviation."""
    values = np.stack([numbers.values for numbers in replicates])
    bad: dict[int, str] = {}
    for place, numbers in zip(roles.replicates, replicates, strict=True):
        bad |= _bad_cells(table, place, numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without any value have no mean
        means = np.nanmean(values, axis=0)
        deviations = np.nanstd(values, axis=0, ddof=1)
    count = np.isfinite(values).sum(axis=0).astype(np.float64)
    names = ", ".join(table.names[place] for place in roles.replicates)
    table.understood.notes.append(f"the score is the mean of {names}; their deviation is kept beside it")
    further = [
        FurtherColumn(deviation_of_replicates(len(replicates)), DEVIATION, deviations),
        FurtherColumn(VALUES_IN_MEAN, COUNT, count),
    ]
    return Measurements(means, bad, further)
