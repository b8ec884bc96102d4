"""Heads in closed form: ridge with 20 penalties and 5 folds, Gaussian processes; scikit-learn on the same matrix.

- One-hot ridge on GB1 (149,360 variants, 80 live columns) and GFP (51,714 variants, 238 sites): from tokens to the
  model with the chosen penalty, `ridge_cv.fit_by_folds`. The peer has the dense matrix of the live columns made for it,
  and fits one `Ridge(alpha=[20 penalties], solver="cholesky")` a fold: one Gram matrix for all penalties, as fast as
  scikit-learn can be asked. Folds are the same; the largest differences of errors and predictions are facts.
- Ridge on 149,360 x 1,280 float32 numbers in a memory map, the same way; the peer has them in memory, in float64.
- A Gaussian process on 5,000 variants of GB1: parameters by marginal likelihood, posterior mean of 5,000 others. The
  peer does the same with the same rows; then it is given our parameters, for the difference of the means.
- A Gaussian process on four fifths of GB1's grid, exact, by Kronecker products; nothing else can, so there is no peer.
  Facts: rank correlations of the held-out fifth, beside ridge's.

The data are ProteinGym's files in `--assays`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from measure import Figure, Goal, Spread, arguments_of, in_turn, report
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.positions import Sites
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Fold
from proteinx_pipelines.stages.train import gp
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor
from proteinx_pipelines.stages.train.moments import moments_by_fold
from proteinx_pipelines.stages.train.ridge_cv import N_FOLDS, fit_by_folds, fold_errors
from proteinx_pipelines.stages.train.targets import fit_scaling
from proteinx_pipelines.stages.train.task import FitTask, FoldMonitor

ASSAYS = Path(__file__).resolve().parents[2] / "shared" / "data" / "assays"
GB1, GFP = "SPG1_STRSG_Wu_2016", "GFP_AEQVI_Sarkisyan_2016_aa"
ALPHAS = np.logspace(-3, 5, 20)
SLOW_S = 120.0
"""A peer that takes longer, in seconds, is timed once: repeats of minutes would say nothing more."""
_SEED = 0


def main() -> None:
    options = arguments_of(
        __doc__,
        lambda p: p.add_argument("--assays", type=Path, default=ASSAYS),
        lambda p: p.add_argument("--limit", type=int, help="variants of each data set; all when not given"),
        lambda p: p.add_argument("--width", type=int, default=1280, help="of the dense matrix"),
        lambda p: p.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS)),
    )
    figures = [PARTS[name](options) for name in options.only]
    report("heads", figures, options.out)


def onehot_gb1(options: Any) -> Figure:
    return onehot("heads.onehot_gb1", GB1, options, Goal("ours", "<=", 0.25))


def onehot_gfp(options: Any) -> Figure:
    return onehot("heads.onehot_gfp", GFP, options, Goal("ours", "<=", 1.0))


def onehot(figure: str, name: str, options: Any, goal: Goal) -> Figure:
    """Ridge on one-hot tokens."""
    embedding, targets = assay(options, name)
    live = moments_by_fold(embedding, np.arange(len(targets)), targets, fold_of(len(targets))).columns
    what = f"one-hot ridge, {len(targets):,} variants, {len(live):,} columns, 20 penalties, 5 folds"
    return ridge(figure, what, embedding, targets, lambda: dense_columns(embedding, live), options, (goal,))


def dense(options: Any) -> Figure:
    """Ridge on vectors in a memory map: 32 factors and noise, about a mean, as embeddings are."""
    n = options.limit or 149_360
    rng = np.random.default_rng(_SEED)
    factors = rng.normal(size=(32, options.width)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        matrix = np.lib.format.open_memmap(path, "w+", np.float32, (n, options.width))
        hidden = rng.normal(size=(n, 32)).astype(np.float32)
        for start in range(0, n, 8192):
            part = slice(start, min(n, start + 8192))
            noise = rng.normal(5, 0.3, (part.stop - start, options.width))
            matrix[part] = hidden[part] @ factors + noise
        matrix.flush()
        targets = hidden[:, :8].sum(axis=1) + rng.normal(0, 2, n)
        vectors: np.ndarray = np.load(path, mmap_mode="r")
        embedding = Embedding(pa.nulls(n, pa.string()), {"name": "made up"}, vectors=vectors)
        what = f"ridge on {n:,} x {options.width:,} float32 in a memory map, 20 penalties, 5 folds"
        return ridge("heads.dense", what, embedding, targets, lambda: vectors.astype(np.float64), options, ())


def ridge(
    figure: str, what: str, embedding: Embedding, targets: np.ndarray,
    make_matrix: Callable[[], np.ndarray], options: Any, goals: tuple[Goal, ...],
) -> Figure:  # fmt: skip
    """Ours, and scikit-learn on the dense matrix."""
    rows, fold = np.arange(len(targets)), fold_of(len(targets))

    def fit() -> tuple[Any, float]:
        return fit_by_folds(embedding, rows, targets, ALPHAS, seed=_SEED)

    model, alpha = fit()
    facts: dict[str, Any] = {"rows": len(targets), "alpha": alpha}
    sides: dict[str, Callable[[], Any]] = {"ours": fit}
    if options.peers:
        matrix = make_matrix()
        started = time.perf_counter()
        errors, final = by_scikit_learn(matrix, targets, fold, alpha)
        once = time.perf_counter() - started
        ours = fold_errors(moments_by_fold(embedding, rows, targets, fold), ALPHAS)
        facts["errors_differ_at_most_relative"] = float(np.abs(ours / errors - 1).max())
        facts["predictions_differ_at_most"] = float(
            np.abs(final.predict(matrix) - model.mean(embedding, rows)).max()
        )
        if once < SLOW_S:
            sides["peer"] = lambda: by_scikit_learn(matrix, targets, fold, alpha)
    seconds = in_turn(sides, options.repeats, warm=False)  # both have run
    if options.peers and "peer" not in seconds:
        seconds["peer"] = Spread.of([once])
    name = "scikit-learn Ridge, all penalties from one Gram matrix a fold"
    return Figure(figure, what, "s", seconds["ours"], seconds.get("peer"), name, goals, facts)


def by_scikit_learn(
    matrix: np.ndarray, targets: np.ndarray, fold: np.ndarray, alpha: float
) -> tuple[np.ndarray, Ridge]:
    """Mean squared error of each penalty over the folds, and the fit of all rows."""
    squared = np.zeros(len(ALPHAS))
    for k in range(N_FOLDS):
        train, held_out = fold != k, fold == k
        fitted = Ridge(ALPHAS, solver="cholesky").fit(
            matrix[train], np.repeat(targets[train][:, None], len(ALPHAS), axis=1)
        )
        squared += ((fitted.predict(matrix[held_out]) - targets[held_out][:, None]) ** 2).sum(axis=0)
    return squared / len(targets), Ridge(alpha, solver="cholesky").fit(matrix, targets)


def process_5000(options: Any) -> Figure:
    """A Gaussian process on vectors of one-hot columns."""
    embedding, targets = assay(options, GB1)
    order = np.random.default_rng(_SEED).permutation(len(targets))
    half = min(5000, len(order) // 2)
    train, test = np.sort(order[:half]), np.sort(order[half : 2 * half])
    tokens = tokens_of(embedding)[train]
    positions = np.flatnonzero(tokens.min(axis=0) != tokens.max(axis=0))
    columns = (positions[:, None] * len(AMINO_ACIDS) + np.arange(len(AMINO_ACIDS))).ravel()
    fitted = process(embedding, targets, train)
    facts: dict[str, Any] = {"rows": len(train)}
    sides: dict[str, Callable[[], Any]] = {
        "ours": lambda: process(embedding, targets, train).mean(embedding, test)
    }
    if options.peers:
        matrix = dense_columns(embedding, columns)
        few = np.sort(np.random.default_rng(_SEED).choice(train, gp.MOST_FOR_PARAMETERS, replace=False))
        unit = (targets - fitted.offset) / fitted.scale
        theirs = GaussianProcessRegressor(
            kernel_of(fitted.parameters.kernel, fitted.parameters.noise), alpha=1e-6, optimizer=None
        )
        means = theirs.fit(matrix[train], unit[train]).predict(matrix[test]) * fitted.scale + fitted.offset
        ours = fitted.mean(embedding, test)
        facts["means_differ_at_most_with_the_same_parameters"] = float(np.abs(means - ours).max())
        sides["peer"] = lambda: scikit_process(matrix, unit, few, train, test)
    seconds = in_turn(sides, options.repeats)
    what = f"Gaussian process, {len(train):,} training variants, parameters and mean of {len(test):,} others"
    name = "scikit-learn GaussianProcessRegressor, parameters on the same 500 rows"
    return Figure(
        "heads.gp_5000",
        what,
        "s",
        seconds["ours"],
        seconds.get("peer"),
        name,
        (Goal("ours", "<=", 5),),
        facts,
    )


def scikit_process(
    matrix: np.ndarray, unit: np.ndarray, few: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Parameters on few rows, the posterior mean from all."""
    start = kernel_of(np.log([0.7, 6.0]), 0.3)
    chosen = GaussianProcessRegressor(start, alpha=1e-6).fit(matrix[few], unit[few]).kernel_
    whole = GaussianProcessRegressor(chosen, alpha=1e-6, optimizer=None)
    return np.asarray(whole.fit(matrix[train], unit[train]).predict(matrix[test]))


def kernel_of(parameters: np.ndarray, noise: float) -> Any:
    """Our kernel in scikit-learn's words."""
    variance, squared_length = np.exp(parameters)
    return ConstantKernel(variance) * RBF(np.sqrt(squared_length)) + WhiteKernel(noise)


def process_grid(options: Any) -> Figure:
    """A Gaussian process on the grid of GB1's four sites, a random fifth held out."""
    embedding, targets = assay(options, GB1)
    order = np.random.default_rng(_SEED).permutation(len(targets))
    test, train = (np.sort(part) for part in np.split(order, [len(order) // 5]))
    facts: dict[str, Any] = {"training_rows": len(train), "cells": 20**4}
    seconds = []
    for _ in range(options.repeats):
        started = time.perf_counter()
        found = process(embedding, targets, train)
        predicted = found.mean(embedding, test)
        seconds.append(time.perf_counter() - started)
    facts["rows_used"] = len(found.weights)
    linear = fit_by_folds(embedding, train, targets[train], ALPHAS, seed=_SEED)[0].mean(embedding, test)
    facts["raw"] = held_out(targets[test], predicted, linear)
    scaled = np.full(len(targets), np.nan)
    scaled[train] = fit_scaling("rank", targets[train]).scale(targets[train])
    predicted = process(embedding, scaled, train).mean(embedding, test)
    linear = fit_by_folds(embedding, train, scaled[train], ALPHAS, seed=_SEED)[0].mean(embedding, test)
    facts["train.target=rank"] = held_out(targets[test], predicted, linear)
    what = f"exact Gaussian process on {len(train):,} of 160,000 combinations, mean of {len(test):,} others"
    goals = (Goal("ours", "<=", 10.0),)
    return Figure("heads.gp_grid", what, "s", Spread.of(seconds), goals=goals, facts=facts)


def held_out(measured: np.ndarray, process: np.ndarray, linear: np.ndarray) -> dict[str, float]:
    """How well both predict rows that neither saw."""
    return {
        "gp_spearman": float(spearmanr(measured, process).statistic),
        "ridge_spearman": float(spearmanr(measured, linear).statistic),
        "gp_pearson": float(np.corrcoef(measured, process)[0, 1]),
        "ridge_pearson": float(np.corrcoef(measured, linear)[0, 1]),
    }


def process(embedding: Embedding, targets: np.ndarray, train: np.ndarray) -> GpPredictor:
    """What `model.name=gp model.kernel=rbf` fits."""
    none = np.empty(0, dtype=np.int64)
    task = FitTask(
        embedding=embedding,
        targets=targets,
        fold=Fold(train, none, none),
        sites=Sites(none, none, none.astype(np.uint8), len(targets)),
        flags=parse_flags({"data.source": "benchmark", "model.name": "gp", "model.kernel": "rbf"}),
        seed=_SEED,
        directory=ExperimentDir(Path(tempfile.gettempdir()), "benchmark"),
        monitor=FoldMonitor(StageMonitor(), 0, 1),
    )
    return gp.fit_gp(task, kernel="rbf")


def assay(options: Any, name: str) -> tuple[Embedding, np.ndarray]:
    """One-hot tokens and scores of a ProteinGym file."""
    table = pyarrow.csv.read_csv(options.assays / f"{name}.csv.gz").slice(0, options.limit)
    sequences = table["mutated_sequence"].to_pylist()
    number = np.full(256, len(AMINO_ACIDS), dtype=np.uint8)
    number[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(len(AMINO_ACIDS))
    letters = np.frombuffer("".join(sequences).encode(), np.uint8).reshape(len(sequences), -1)
    embedding = Embedding(pa.nulls(len(sequences), pa.string()), {"name": "onehot"}, tokens=number[letters])
    return embedding, table["DMS_score"].to_numpy().astype(np.float64)


def tokens_of(embedding: Embedding) -> np.ndarray:
    """uint8 [n, L]: tokens of a one-hot embedding."""
    assert embedding.tokens is not None
    return embedding.tokens


def dense_columns(embedding: Embedding, columns: np.ndarray) -> np.ndarray:
    """float64 [n, p]: some columns of the one-hot matrix."""
    positions, letters = np.divmod(columns, len(AMINO_ACIDS))
    matrix, tokens = np.empty((embedding.n_variants, len(columns))), tokens_of(embedding)
    for k, (position, letter) in enumerate(zip(positions, letters, strict=True)):
        matrix[:, k] = tokens[:, position] == letter
    return matrix


def fold_of(n: int) -> np.ndarray:
    """The folds that `fit_by_folds` draws."""
    return np.random.default_rng(_SEED).permutation(n) % N_FOLDS


PARTS: dict[str, Callable[[Any], Figure]] = {
    "onehot_gb1": onehot_gb1,
    "onehot_gfp": onehot_gfp,
    "dense": dense,
    "gp_5000": process_5000,
    "gp_grid": process_grid,
}


if __name__ == "__main__":
    main()
