"""Records passed between the stages, and the letters of their shapes.

    Selection -> VariantTable -> Embedding [with Evidence] -> Split -> Training -> Evaluation [-> Design]

N variants (rows), L residues, D embedding width, K folds. Row *i* of every record of one experiment is the
same variant: `VariantTable` fixes the order, and each record carries `ids` so that a reader can check.
A row's id is always `<source_text>/<mutant>`. In every record positions count from 1 in the template; files for users
also have the user's numbering (`numbering`).

Records hold data without logic; `experiment_dir.codecs` stores them on disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.domain.residues import AMINO_ACIDS as AMINO_ACIDS

SELECTION_COLUMNS = ("source", "mutant", "DMS_score", "DMS_score_bin", "mut_num")
"""Columns of `Selection.rows`: string, string, float64 or null, string or null, int32."""
PROPERTY = "property:"
"""Beginning of the names of a selection's further columns, one for each of `data.properties` (float64, NULL)."""
STANDARD_ERROR = "standard_error"
"""Column of a selection and of a variant table whose scores have standard errors: float64 above 0, in the unit of
`DMS_score`, null where unknown. There is no such column if no error is known."""

VARIANT_COLUMNS = ("id", "source", "mutant", "sequence", "target", "DMS_score", "mut_num", "n_merged")
"""First columns of `VariantTable.rows` (string x4, float64 x2, int32 x2); derived columns follow."""

REPLICATE_DEVIATION = "replicate_deviation"
"""Column of a variant table in which rows were merged: deviation of a variant's measurements, null where it has one."""


@dataclass(frozen=True)
class Selection:
    """Rows chosen from the catalog, and the query that chose them."""

    rows: pa.Table
    """M measured rows (replicates not merged), columns `SELECTION_COLUMNS`, further properties and `STANDARD_ERROR`, in
    catalog order."""
    templates: Mapping[str, str]
    """Template sequence of each source in `rows`."""
    query: Mapping[str, Any]
    """The query as run: `sql`, `parameters`, `database`, `rows`."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """Position in the user's numbering minus position in the template, for sources in `rows` where it is not 0."""


@dataclass(frozen=True)
class VariantTable:
    """Clean sequences and targets, one row per variant."""

    rows: pa.Table
    """N variants, columns `VARIANT_COLUMNS` then derived ones; ids unique. Where one model learns several properties, a
    column `property:NAME` (float64, NaN) for each further one, and variants without a target last."""
    templates: Mapping[str, str]
    """Template sequence of each source in `rows`."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Number of selected rows that each rule removed or merged, by the rule's name."""
    offsets: Mapping[str, int] = field(default_factory=dict)
    """Offsets of the selection, which convert `mutant` from template positions to the user's numbering."""

    @property
    def n_variants(self) -> int:
        """N."""
        return int(self.rows.num_rows)

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the further properties that are learned beside the target."""
        return tuple(
            name.removeprefix(PROPERTY) for name in self.rows.column_names if name.startswith(PROPERTY)
        )

    @property
    def n_scored(self) -> int:
        """Number of variants with a target; the others, which have further properties alone, follow them."""
        if not self.properties:
            return self.n_variants
        return int(np.isfinite(self.column("target").astype(np.float64)).sum())

    def scored(self) -> "VariantTable":
        """The variants with a target, which alone are assigned to parts and judged."""
        n = self.n_scored
        return self if n == self.n_variants else replace(self, rows=self.rows.slice(0, n))

    def column(self, name: str) -> np.ndarray:
        """One column as a NumPy array of N entries (strings as objects)."""
        column: np.ndarray = self.rows.column(name).to_numpy(zero_copy_only=False)
        return column


@dataclass(frozen=True)
class Evidence:
    """What structures and alignments say of the sites of T templates, in alphabetical order of their sources.

    Arrays are float32 [T, L, columns] with L residues of the longest template, NaN at sites without evidence.
    """

    sources: Sequence[str]
    """T names."""
    arrays: Mapping[str, np.ndarray]
    """`coordinates` (C-alpha, 3, angstrom), `structure` and `packing` (`COLUMNS` and `PACKING` of
    `evidence.structure_sites`) if a structure is used,
    `preferences` (log frequency of each residue, 20) and `conservation` (`evidence.alignment_sites.COLUMNS`) if an
    alignment is."""
    info: Mapping[str, Any]
    """`structure` and `alignment`: source -> file, digest, coverage, identity, ...; `warnings`: sentences."""


@dataclass(frozen=True)
class Embedding:
    """One vector per variant, in the order of the variant table.

    Either `vectors` (float32 [N, D]) or `tokens` (uint8 [N, L], one-hot in its compact form: index into
    `alphabet`, `len(alphabet)` where a shorter sequence is padded) is set. One-hot vectors are built only where
    they are used: for 149,360 variants of 448 residues they would take 5 GB.
    """

    ids: pa.Array
    info: Mapping[str, Any]
    """`name`, `layer`, `pooling`, `precision`, `weights_sha256`, `width` and further entries."""
    vectors: np.ndarray | None = None
    tokens: np.ndarray | None = None
    alphabet: str = AMINO_ACIDS
    evidence: Evidence | None = None
    """Of the variants' templates, if a structure or an alignment was given."""

    @property
    def n_variants(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def width(self) -> int:
        """D: `L * len(alphabet)` for one-hot tokens."""
        if self.vectors is not None:
            return int(self.vectors.shape[1])
        assert self.tokens is not None
        return int(self.tokens.shape[1]) * len(self.alphabet)

    @property
    def residue_width(self) -> int | None:
        """Number of columns per residue if the D columns are those of the L residues in order; else None.

        Known for tokens; for vectors it is `info["residue_width"]`, and padding residues are zeros.
        """
        if self.tokens is not None:
            return len(self.alphabet)
        found = self.info.get("residue_width")
        return None if found is None else int(found)

    def dense(self, rows: np.ndarray | slice | None = None) -> np.ndarray:
        """float32 [n, D] of the rows asked for (int64 indices or a slice; all when None)."""
        chosen = slice(None) if rows is None else rows
        if self.vectors is not None:
            return np.asarray(self.vectors[chosen], dtype=np.float32)
        assert self.tokens is not None
        tokens = self.tokens[chosen]
        letters = np.arange(len(self.alphabet), dtype=tokens.dtype)
        one_hot = tokens[:, :, None] == letters
        dense: np.ndarray = one_hot.reshape(len(tokens), -1).astype(np.float32)
        return dense


@dataclass(frozen=True)
class Fold:
    """Row indices (int64, ascending) of the three parts; a row may be in no part."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Split:
    """Assignment of variants to parts, with reasons."""

    ids: pa.Array
    """Ids of the N variants that the indices refer to."""
    folds: Sequence[Fold]
    """One entry for a single split, K for cross-validation."""
    reasons: pa.Array
    """One sentence for each of the N rows with the reason for its part."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """`method`, `n_folds`, sizes and further entries for the report."""

    @property
    def is_cross_validation(self) -> bool:
        """True if there is more than one fold."""
        return len(self.folds) > 1


@dataclass(frozen=True)
class Training:
    """Result of training: one exported model per fold, and facts about the fits."""

    model_name: str
    model_dirs: Sequence[Path]
    """One folder per fold: `model.json` and `model.safetensors`, read back by `load_model`."""
    fold_metrics: Sequence[Mapping[str, float]]
    """Final metrics of each fold, names like `train/loss`."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Seeds, epochs run, number of parameters, target scaling, seconds."""


@dataclass(frozen=True)
class Evaluation:
    """Result of the evaluation."""

    predictions: pa.Table
    """Columns id, mutant (in the user's numbering, then `template_mutant` if it differs), target (float64), prediction
    (float64), fold (int32), part (train/val/test)."""
    summary: Mapping[str, float]
    """Headline metrics, with names like `test/spearman`; carried by the result message."""
    report: Mapping[str, Any]
    """Everything in `report.json`: metrics with intervals, per fold, baselines, warnings, provenance."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Further files by their name under `artifacts/`: `plots/figures.json`, `plots/*.svg`."""


@dataclass(frozen=True)
class Design:
    """Variants to make next, and the model that proposes them."""

    model_dir: Path
    """Folder of the final model, of all labelled rows."""
    predictions: pa.Table
    """One row per variant of the library: `mutant`, `sequence`, `prediction`, `deviation`, `low`, `high`, and more."""
    proposals: pa.Table
    """One row per well: `rank` (0 for a control), `well`, the columns of a prediction, `acquisition`, `stability`,
    `reason`."""
    report: Mapping[str, Any]
    """Counts, request and expectations, plain JSON."""
