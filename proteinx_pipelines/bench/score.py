"""Judges anybody's predictions: ProteinGym's scores, intervals by variant and by position, and the folds behind them.

A file has the columns `mutant`, `y`, `y_pred` and `fold`; the name of the file is the assay's, or `DMS_id` is a further
column. Spearman and squared error are taken once over all predictions as they are given, as ProteinGym does; the mean
over folds stands beside them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines import metrics
from proteinx_pipelines.bench import declared
from proteinx_pipelines.bench.published import Published
from proteinx_pipelines.edits import has_indels, parse_edits
from proteinx_pipelines.errors import BadVariants, CatalogError, MissingFile
from proteinx_pipelines.resampling.bootstrap import percentiles
from proteinx_pipelines.variant_files.columns import looks_like_sequence
from proteinx_pipelines.variant_files.forms import read_table, stem_of
from proteinx_pipelines.variant_files.notation import respelled
from proteinx_pipelines.variant_files.numbers import read_numbers
from proteinx_pipelines.variant_files.text_table import TextTable

NEEDED = ("mutant", "y", "y_pred")
RESAMPLES, LEVEL = 1000, 0.95
_ENDINGS = (".csv", ".csv.gz")
_SHOWN = 5
_PLAIN = re.compile(r"WT|[A-Z*]-?[0-9]+[A-Z*](?::[A-Z*]-?[0-9]+[A-Z*])*")
Interval = tuple[float, float]
Changes = frozenset[tuple[int, int, str]]
"""First and last position of the template, and the residues that take their place."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of one assay."""

    assay: str
    mutant: list[str]
    y: np.ndarray
    y_pred: np.ndarray
    fold: list[str] | None


@dataclass(frozen=True)
class Audit:
    """What is wrong with the folds."""

    n_folds: int
    leaked: int
    """Rows whose sequence is in several folds, under any spelling."""
    examples: tuple[str, ...]
    repeated: int
    """Rows whose sequence is in the file more than once."""
    wild_types: int
    """Rows of the wild type."""
    declared: declared.Rule | None
    """The rule of the named scheme."""

    @property
    def is_clean(self) -> bool:
        """True if nothing is wrong."""
        return not (self.leaked or self.repeated or (self.declared and not self.declared.holds))


@dataclass(frozen=True)
class Score:
    """Judgement of one assay."""

    assay: str
    n: int
    spearman: float
    by_variant: Interval
    """95 % interval of Spearman, variants drawn with replacement."""
    by_position: Interval
    """The same, all variants of a position drawn together: the next protein's positions are new ones."""
    fold_mean: float | None
    """Mean Spearman over folds."""
    mse: float
    mse_by_position: Interval
    variance: float
    """Of `y`: squared error of predicting the mean."""
    audit: Audit | None
    """None without folds."""

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Against:
    """Difference to a published model on the same assays, paired by assay."""

    model: str
    n: int
    spearman: float
    low: float
    high: float
    """95 % bootstrap interval over assays; NaN for fewer than three."""
    better: int
    """Assays with a higher Spearman."""
    mse: float | None
    """Mean difference of the squared error; None where none is published."""


def read_predictions(file: Path) -> list[Predicted]:
    """Read a file of predictions, or every file of a folder.

    Raises:
        MissingFile: there is none. CatalogError: columns are missing, or a cell is no number; all problems of a file.
    """
    files = (
        [path for path in sorted(file.iterdir()) if path.name.endswith(_ENDINGS)] if file.is_dir() else [file]
    )
    if not files or not all(path.is_file() for path in files):
        raise MissingFile(
            f"{file} is not there, or a folder without CSV files. Columns: {', '.join(NEEDED)}, fold."
        )
    return [found for path in files for found in _read(path)]


def _read(path: Path) -> list[Predicted]:
    table = read_table(path)
    place = {name.strip(): at for at, name in reversed([*enumerate(table.names)])}
    if missing := [name for name in NEEDED if name not in place]:
        raise CatalogError(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(table.names[:20])}. Expected: "
            "mutant, y (measured), y_pred (predicted), fold."
        )
    mutants = [(cell or "").strip() for cell in table.text(place["mutant"]).to_pylist()]
    values = {name: read_numbers(table.columns[place[name]], name).values for name in ("y", "y_pred")}
    folds = table.text(place["fold"]).to_pylist() if "fold" in place else None
    problems = [f"{table.unit} {line}: {text}" for line, text in table.broken]
    problems += _named(
        table,
        [changes_of(mutant) is None for mutant in mutants],
        "is not a mutant",
        table.text(place["mutant"]),
    )
    for name, numbers in values.items():
        problems += _named(
            table,
            ~np.isfinite(numbers),
            f"is no number: {name} must be numbers in every row",
            table.text(place[name]),
        )
    if folds is not None:
        problems += _named(table, [not fold for fold in folds], "is no fold", table.text(place["fold"]))
    if not table.n_rows:
        problems.append("there is no row")
    if problems:
        raise CatalogError(f"{path.name} cannot be judged:", problems)
    assays = [stem_of(path.name)] * table.n_rows
    if "DMS_id" in place:
        assays = [str(cell) for cell in table.text(place["DMS_id"]).to_pylist()]
    return [
        _part(assay, np.array(assays) == assay, mutants, values, folds) for assay in dict.fromkeys(assays)
    ]


def _named(table: TextTable, bad: Sequence[bool] | np.ndarray, what: str, cells: pa.Array) -> list[str]:
    """The first bad rows by line and cell, and the number of the others."""
    rows = np.flatnonzero(np.asarray(bad))
    said = [
        f"{table.unit} {table.lines[row]}: {cells[row].as_py() or ''!r} {what}"
        for row in rows[:_SHOWN].tolist()
    ]
    return [*said, *([f"and {len(rows) - _SHOWN:,} more like it"] if len(rows) > _SHOWN else [])]


def _part(
    assay: str,
    own: np.ndarray,
    mutants: Sequence[str],
    values: Mapping[str, np.ndarray],
    folds: Sequence[str] | None,
) -> Predicted:
    rows = np.flatnonzero(own).tolist()
    return Predicted(
        assay, [mutants[row] for row in rows], values["y"][own], values["y_pred"][own],
        None if folds is None else [str(folds[row]) for row in rows],
    )  # fmt: skip


def score(found: Predicted, scheme: str | None, *, resamples: int = RESAMPLES) -> Score:
    """Judge the predictions of one assay."""
    spearman = metrics.compute("spearman", found.y, found.y_pred)
    rows = np.arange(len(found.y))
    by_position = _clusters(found.mutant)
    variant, position = (_intervals(found, groups, resamples) for groups in (rows, by_position))
    return Score(
        found.assay, len(found.y), float(spearman), variant["spearman"], position["spearman"], _fold_mean(found),
        float(np.mean((found.y - found.y_pred) ** 2)), position["mse"], float(np.var(found.y)),
        None if found.fold is None else audit(found, scheme),
    )  # fmt: skip


def _clusters(mutants: Sequence[str]) -> np.ndarray:
    """int64 [n]: variants that change the same positions."""
    return np.unique([str(declared.positions_of(mutant)) for mutant in mutants], return_inverse=True)[1]


def _intervals(found: Predicted, groups: np.ndarray, resamples: int) -> dict[str, Interval]:
    """Percentile intervals; whole groups are drawn with replacement."""
    rng, n_groups = np.random.default_rng(0), int(groups.max()) + 1
    squared = (found.y - found.y_pred) ** 2
    spearman, errors = [], []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, n_groups, n_groups), minlength=n_groups)[groups]
        rows = np.repeat(np.arange(len(groups)), counts)
        spearman.append(metrics.compute("spearman", found.y[rows], found.y_pred[rows]))
        errors.append(float(squared[rows].mean()))
    return {
        "spearman": percentiles(np.array(spearman), LEVEL),
        "mse": percentiles(np.array(errors), LEVEL),
    }


def _fold_mean(found: Predicted) -> float | None:
    if found.fold is None:
        return None
    folds = np.array(found.fold)
    each = [
        metrics.compute("spearman", found.y[folds == fold], found.y_pred[folds == fold])
        for fold in np.unique(folds)
    ]
    defined = [value for value in each if np.isfinite(value)]
    return float(np.mean(defined)) if defined else None


def audit(found: Predicted, scheme: str | None) -> Audit:
    """Check the folds: one sequence in several folds, repeated rows, the wild type, and the scheme's own rule."""
    assert found.fold is not None
    places: dict[Changes, list[int]] = {}
    for row, mutant in enumerate(found.mutant):
        places.setdefault(_changes(mutant), []).append(row)
    wild_types = places.pop(frozenset(), [])
    leaked = [rows for rows in places.values() if len({found.fold[row] for row in rows}) > 1]
    rule = None
    if scheme is not None:
        rule = declared.check(scheme, found.mutant, found.fold, found.y.tolist())
    return Audit(
        len(set(found.fold)), sum(map(len, leaked)),
        tuple(", ".join(found.mutant[row] for row in rows) for rows in leaked[:_SHOWN]),
        sum(len(rows) for rows in places.values() if len(rows) > 1), len(wild_types), rule,
    )  # fmt: skip


def _changes(mutant: str) -> Changes:
    found = changes_of(mutant)
    assert found is not None  # the reader refuses others
    return found


def changes_of(mutant: str) -> Changes | None:
    """What a mutant changes, in any notation: equal for equal sequences. None for a text that is no mutant.

    A whole sequence is compared with other whole sequences alone.
    """
    if _PLAIN.fullmatch(mutant):
        parts = re.findall(r"([A-Z*])(-?[0-9]+)([A-Z*])", mutant)
        return frozenset((int(at), int(at), new) for old, at, new in parts if old != new)
    if looks_like_sequence(mutant):
        return frozenset({(0, 0, mutant.upper())})
    try:
        edits = parse_edits(mutant if has_indels(mutant) else respelled(mutant, "", 0) or mutant)
    except BadVariants:
        return None
    return frozenset(
        (edit.first, edit.last, edit.residues)
        for edit in edits
        if not (edit.is_substitution and edit.anchors[0][0] == edit.residues)
    )


def against(scores: Sequence[Score], published: Mapping[str, Published], scheme: str) -> list[Against]:
    """Differences to every published model, the best first.

    Args:
        scores: ours.
        published: by metric: `Spearman`, and `MSE` where there is a table.
        scheme: `random`, `modulo` or `contiguous`.
    """
    table = published["Spearman"]
    found = []
    for model in table.models:
        pairs = [
            (each, value) for each in scores if (value := table.value(each.assay, scheme, model)) is not None
        ]
        if pairs:
            found.append(_against(model, pairs, published.get("MSE"), scheme))
    return sorted(found, key=lambda row: row.spearman)


def _against(
    model: str, pairs: Sequence[tuple[Score, float]], errors: Published | None, scheme: str
) -> Against:
    apart = np.array([each.spearman - value for each, value in pairs])
    low = high = float("nan")
    if len(apart) > 2:
        rng = np.random.default_rng(0)
        means = apart[rng.integers(0, len(apart), (RESAMPLES, len(apart)))].mean(axis=1)
        low, high = percentiles(means, LEVEL)
    squared = [
        each.mse - value
        for each, _ in pairs
        if errors is not None and (value := errors.value(each.assay, scheme, model)) is not None
    ]
    return Against(
        model, len(apart), float(apart.mean()), float(low), float(high), int((apart > 0).sum()),
        float(np.mean(squared)) if squared else None,
    )  # fmt: skip


def aggregate(values: Mapping[str, float], kinds: Mapping[str, str]) -> float:
    """ProteinGym's mean: over the assays of a protein and kind, over the proteins of a kind, over the kinds.

    Args:
        values: by DMS_id, whose first two parts are the UniProt entry.
        kinds: selection type of each DMS_id; assays without one are of a kind of their own.

    Source:
        OATML-Markslab/ProteinGym, `merge_supervised.py`.
    """
    proteins: dict[tuple[str, str], list[float]] = {}
    for assay, value in values.items():
        proteins.setdefault((kinds.get(assay, ""), "_".join(assay.split("_")[:2])), []).append(value)
    by_kind: dict[str, list[float]] = {}
    for (kind, _), each in proteins.items():
        by_kind.setdefault(kind, []).append(float(np.mean(each)))
    return float(np.mean([np.mean(each) for each in by_kind.values()]))
