"""Do intervals mean what they say? Random halves of the positions beside the spread that the bootstrap promises.

    python benchmarks/halves.py --data FOLDER [--model ridge] [--assays NAME ...] [--schemes random modulo contiguous]
    python benchmarks/halves.py --predictions FOLDER      files with mutant, y, y_pred

The difference of Spearman between two random halves of the positions has twice the standard deviation of the whole, if
that of the whole is right. Printed for each assay and scheme: measured spread over promised spread, by positions and by
variants; last the means and the assays outside of 0.9 to 1.1 on average.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.bench.assays import CI_SET, assay_files, choose, read_assay
from proteinx_pipelines.bench.proteingym import column_of
from proteinx_pipelines.bench.protocol import run_protocol
from proteinx_pipelines.bench.schemes import SCHEMES
from proteinx_pipelines.bench.score import read_predictions
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.resampling.bootstrap import resampled_values
from proteinx_pipelines.resampling.units import position_groups

_FEWEST = 20
"""Positions below which halves say nothing."""


def main() -> None:
    """Print a line for each assay and scheme, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--predictions", type=Path)
    parser.add_argument("--model", default="ridge")
    parser.add_argument("--assays", nargs="*", default=list(CI_SET))
    parser.add_argument("--schemes", nargs="*", default=list(SCHEMES))
    parser.add_argument("--halves", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=400)
    options = parser.parse_args()
    if (options.data is None) == (options.predictions is None):
        parser.error("one of --data and --predictions is expected")
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, scheme, mutants, target, prediction in _predictions(options):
        groups = position_groups([""] * len(mutants), mutants)
        if groups.max() + 1 < _FEWEST:
            continue
        halves = _spread_of_halves(target, prediction, groups, options.halves)
        ratios = {}
        for unit, drawn in (("positions", groups), ("variants", None)):
            values = resampled_values(
                ["spearman"], target, {"m": prediction}, resamples=options.resamples, seed=0,
                progress=lambda _done, _all: None, groups=drawn,
            )["m"]["spearman"]  # fmt: skip
            ratios[unit] = halves / (2 * float(np.nanstd(values)))
            found[scheme, unit].append(ratios[unit])
        print(
            f"{name} {scheme}: by positions {ratios['positions']:.2f}, by variants {ratios['variants']:.2f}",
            flush=True,
        )
    for (scheme, unit), each in found.items():
        print(
            f"{scheme}, by {unit}: mean {np.mean(each):.3f} of {len(each)}, {np.min(each):.2f} to {np.max(each):.2f}"
        )


def _predictions(options: argparse.Namespace) -> Iterator[tuple[str, str, list[str], np.ndarray, np.ndarray]]:
    """Assay, scheme, mutants, measured and predicted values."""
    if options.predictions is not None:
        for one in read_predictions(options.predictions):
            yield one.assay, "given", list(one.mutant), one.y, one.y_pred
        return
    for name, file in choose(assay_files(options.data), options.assays).items():
        for scheme in options.schemes:
            document = {
                "data": {"source": name},
                "split": {"method": "file", "path": str(file), "column": column_of(scheme)},
                "train": {"target": "standardize"},
                "model": {"name": options.model},
            }
            out = run_protocol(read_assay(name, file), parse_flags(document, []), split_file=file)
            yield name, scheme, list(out.mutant), out.target, out.prediction


def _spread_of_halves(target: np.ndarray, prediction: np.ndarray, groups: np.ndarray, n: int) -> float:
    """Standard deviation of the difference of Spearman between random halves of the groups."""
    random, count = np.random.default_rng(1), int(groups.max()) + 1
    differences = []
    for _ in range(n):
        half = np.isin(groups, random.permutation(count)[: count // 2])
        one, other = (metrics.compute("spearman", target[rows], prediction[rows]) for rows in (half, ~half))
        differences.append(one - other)
    return float(np.nanstd(differences))


if __name__ == "__main__":
    main()
