"""Measure what standard errors beside the scores are worth to `gp`: the same folds with them and without.

    python benchmarks/standard_errors.py FILE --template FILE [FLAG=VALUE ...]

FILE has a column of errors, as `proteinx db import` finds it. Spearman's correlation and the mean squared error of all
left-out rows, and of the half that was measured precisely, whose own noise hides less of a difference.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import STANDARD_ERROR
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.selection import select_variants
from proteinx_pipelines.stages.split.assign import assign_split
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.train import train_models
from proteinx_pipelines.stages.transform.transform import transform_variants


def main() -> None:
    """Print one line with errors and one without."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("flags", nargs="*")
    parser.add_argument("--template", required=True)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_intermixed_args()  # flags may stand behind options
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "d.db"
        source = import_file(database, options.file, template=options.template).source
        for error in ("auto", "none"):
            given = {
                "data.source": source,
                "data.error": error,
                "split.folds": options.folds,
                "model.name": "gp",
            }
            print(f"{error:5}", *measured(database, Path(folder) / error, given, options.flags))


def measured(database: Path, folder: Path, given: dict[str, object], overrides: list[str]) -> list[str]:
    """Cross-validate, and put the numbers into words."""
    flags, monitor = parse_flags(given, overrides), StageMonitor()
    variants = transform_variants(select_variants(database, flags.data), flags.transform)
    embedding = embed_variants(variants, flags.embedding, monitor)
    split = assign_split(variants, flags.split)
    training = train_models(
        variants, embedding, split, flags, directory=ExperimentDir(folder, "x"), monitor=monitor
    )
    target, predicted = variants.column("target").astype(np.float64), np.full(variants.n_variants, np.nan)
    for fold, model in zip(split.folds, training.model_dirs, strict=True):
        predicted[fold.test] = load_model(model).predict(embedding, fold.test)
    precise = np.ones(len(target), bool)
    if STANDARD_ERROR in variants.rows.column_names:
        errors = variants.column(STANDARD_ERROR).astype(np.float64)
        precise = errors <= np.nanmedian(errors)
        np.save(database.with_suffix(".npy"), precise)  # the run without errors is judged on the same rows
    else:
        precise = np.load(database.with_suffix(".npy"))
    shares = [fold.get("noise_by_errors", {}).get("share") for fold in training.info["folds"]]
    return [
        f"n {len(target):,}",
        *_scores("all", target, predicted),
        *_scores("precise", target[precise], predicted[precise]),
        f"shares {shares}",
    ]


def _scores(name: str, target: np.ndarray, predicted: np.ndarray) -> list[str]:
    return [f"{name}: spearman {metrics.compute('spearman', target, predicted):.4f}",
            f"mse {np.mean((target - predicted) ** 2):.5f}"]  # fmt: skip


if __name__ == "__main__":
    main()
