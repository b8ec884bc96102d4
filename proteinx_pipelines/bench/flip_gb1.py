"""FLIP's splits of GB1's four sites: train on few mutations, test on many.

Models without epochs train on every row that FLIP marks as train; a network keeps FLIP's validation rows for early
stopping. Targets are not scaled. The sequence is GB1's domain of 56 residues: the rest of FLIP's construct never
varies.

Source:
    Dallago et al. 2021, "FLIP"; J-SNACKKB/FLIP, `splits/gb1` and `baselines/`. Measurements: Wu et al. 2016,
    doi:10.7554/eLife.16965.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from proteinx_pipelines.bench.plain_csv import column_names, read_csv
from proteinx_pipelines.bench.protocol import OutOfFold, run_protocol
from proteinx_pipelines.errors import CatalogError, MissingFile
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import Selection
from proteinx_pipelines.stages.known_names import known_here

NAME = "GB1"
DOMAIN = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
"""GB1's wild type; FLIP varies sites 39, 40, 41 and 54."""
SPLITS = ("one_vs_rest", "two_vs_rest", "three_vs_rest", "low_vs_high", "sampled")
BY_FITNESS = "low_vs_high"
"""FLIP's split by fitness: trained below the wild type's, tested from there on, the wild type included."""
FILE = "GB1_FLIP_splits.csv.gz"
MODELS = ("ridge", "gp", "cnn")
"""Default models: those with published results on these splits."""
RECIPES: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "cnn": {"model": {"channels": 128}, "train": {"batch_size": 256, "max_epochs": 100, "patience": 20}},
}
"""FLIP's settings that differ from a model's defaults; an eighth of its channels trains on two cores in minutes."""
TOLERANCE = 0.02
_NETWORKS = ("mlp", "cnn", "light_attention")
_VALIDATION = 0.1
_FEW_ROWS = ("one_vs_rest", "two_vs_rest")
WHERE_TO_GET = (
    f"A table {FILE} is expected: `mutant` (V39I, V39I:D40G, ..., WT), `Fitness`, and for each split a column of "
    "train/test and one `<split>_validation` of true/false. Make it from FLIP's `four_mutations_full_data.csv.zip` "
    "and `splits/gb1` (github.com/J-SNACKKB/FLIP)."
)


@dataclass(frozen=True)
class Reference:
    """Published result on the same rows."""

    model: str
    split: str
    spearman: float
    source: str


_RIDGE = "scikit-learn's Ridge(alpha=1, solver='lsqr') on FLIP's files, FLIP's own recipe"
_XGPR = "lowest of xGPR's published one-hot Gaussian processes"
_FLIP = "FLIP at 855efc3, baselines/levenshtein_blosum62_baselines.ipynb"
REFERENCES = (
    Reference("ridge", "one_vs_rest", 0.279, _RIDGE),
    Reference("ridge", "two_vs_rest", 0.594, _RIDGE),
    Reference("ridge", "three_vs_rest", 0.755, _RIDGE),
    Reference("ridge", "low_vs_high", 0.343, _RIDGE),
    Reference("ridge", "sampled", 0.788, _RIDGE),
    Reference("gp", "two_vs_rest", 0.658, _XGPR),
    Reference("gp", "three_vs_rest", 0.839, _XGPR),
    Reference("Levenshtein", "one_vs_rest", 0.173, _FLIP),
    Reference("Levenshtein", "two_vs_rest", 0.162, _FLIP),
    Reference("Levenshtein", "three_vs_rest", -0.049, _FLIP),
    Reference("Levenshtein", "sampled", 0.170, _FLIP),
    Reference("BLOSUM62", "one_vs_rest", 0.150, _FLIP),
    Reference("BLOSUM62", "two_vs_rest", 0.136, _FLIP),
    Reference("BLOSUM62", "three_vs_rest", 0.010, _FLIP),
    Reference("BLOSUM62", "sampled", 0.166, _FLIP),
)


@dataclass(frozen=True)
class Row:
    """One model on one split."""

    model: str
    split: str
    found: OutOfFold
    reference: Reference | None

    @property
    def difference(self) -> float | None:
        """Ours minus the reference; None without one."""
        return None if self.reference is None else self.found.pooled - self.reference.spearman

    @property
    def is_within(self) -> bool:
        """True if not more than `TOLERANCE` below the reference; an undefined Spearman is below everything."""
        return self.difference is None or self.difference >= -TOLERANCE

    @property
    def mse(self) -> float:
        """Mean squared error in the unit of the target, as in FLIP."""
        return float(self.found.mse * self.found.spread[0] ** 2)


def reference(model: str, split: str) -> Reference | None:
    """Reference value of a model: that of the same kind of model, or ridge's if there is none.

    No value of FLIP's network could be traced. On tens or hundreds of training rows, where networks are known to score
    below ridge, a network has no reference.
    """
    by_name = {(entry.model, entry.split): entry for entry in REFERENCES}
    has_own = any(entry.model == model for entry in REFERENCES)
    if not has_own and model in _NETWORKS and split in _FEW_ROWS:
        return None
    return by_name.get((model if has_own else "ridge", split))


def find_table(data: Path) -> Path:
    """Find the table in a folder; a file is returned as it is.

    Raises:
        MissingFile: it does not exist; the message names its source.
    """
    file = data / FILE if data.is_dir() else data
    if not file.is_file():
        raise MissingFile(f"{file} is not there. {WHERE_TO_GET}")
    return file


def read_selection(file: Path) -> Selection:
    """Read all rows of the table as a selection.

    Raises:
        CatalogError: a column is missing.
    """
    table = read_csv(file)
    needed = ("mutant", "Fitness", *(name for name in SPLITS if name != BY_FITNESS))
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise CatalogError(f"{file} has no column {', '.join(missing)}. {WHERE_TO_GET}")
    mutants = table.column("mutant").to_pylist()
    counts = [0 if mutant == "WT" else mutant.count(":") + 1 for mutant in mutants]
    rows = pa.table(
        {
            "source": pa.array([NAME] * len(mutants), pa.string()),
            "mutant": pa.array(mutants, pa.string()),
            "DMS_score": table.column("Fitness").cast(pa.float64()),
            "DMS_score_bin": pa.nulls(len(mutants), pa.string()),
            "mut_num": pa.array(counts, pa.int32()),
        }
    )
    return Selection(rows, {NAME: DOMAIN}, {"file": file.name, "rows": len(mutants)})


def score_split(file: Path, split: str, model: str, pairs: Sequence[str]) -> Row:
    """Train on FLIP's training rows of one split and predict its test rows.

    Args:
        file: table of `find_table`.
        split: one of `SPLITS`.
        model: a name of `model.name`; its flags of `RECIPES` apply unless `pairs` override them.
        pairs: flags as `name=value`.

    Raises:
        InputError: a stage refuses data or flags.
    """
    recipe = RECIPES.get(model, {})
    with tempfile.TemporaryDirectory(prefix="proteinx-bench-", ignore_cleanup_errors=True) as scratch:
        named = _by_fitness(file, Path(scratch)) if _is_made_here(file, split) else file
        chosen: Mapping[str, object] = {"val_column": f"{split}_validation"} if model in _NETWORKS else {}
        document = {
            "data": {"source": NAME},
            "split": {"method": "file", "path": str(named), "column": split, **chosen},
            **recipe,
            "model": {"name": model, **recipe.get("model", {})},
        }
        flags = parse_flags(document, list(pairs), known=known_here())
        found = run_protocol(read_selection(file), flags, split_file=named)
    return Row(model, split, found, reference(model, split))


def _is_made_here(file: Path, split: str) -> bool:
    """True for the split by fitness, if the table has no column of it."""
    if split != BY_FITNESS:
        return False
    return BY_FITNESS not in column_names(file)


def _by_fitness(file: Path, folder: Path) -> Path:
    """Write the split by fitness: 5,089 training rows and 3,644 test rows of FLIP's table.

    FLIP draws a tenth of the training rows for validation; which ones is not published with the split, so a seeded
    draw takes their place. Models without epochs train on them too.
    """
    table = read_csv(file).select(["mutant", "Fitness"])
    fitness = table.column("Fitness").to_numpy().astype(np.float64)
    own = fitness[np.array([mutant == "WT" for mutant in table.column("mutant").to_pylist()])]
    if len(own) != 1:
        raise CatalogError(
            f"{file} has {len(own)} rows WT; low_vs_high needs the wild type's fitness. {WHERE_TO_GET}"
        )
    is_low = fitness < own[0]
    validation = is_low & (np.random.default_rng(0).random(len(fitness)) < _VALIDATION)
    rows = pa.table(
        {
            "mutant": table.column("mutant"),
            BY_FITNESS: pa.array(np.where(is_low, "train", "test").tolist()),
            f"{BY_FITNESS}_validation": pa.array(
                [True if each else None for each in validation.tolist()], pa.bool_()
            ),
        }
    )
    made = folder / f"{BY_FITNESS}.csv"
    pyarrow.csv.write_csv(rows, str(made))
    return made
