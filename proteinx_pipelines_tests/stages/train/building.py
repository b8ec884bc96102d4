"""Records for the tests of the train stage: valid by default, one argument away from the case at hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Fold, Split, Training, VariantTable
from proteinx_pipelines.stages.train.train import train_models


def flags(**groups: Any) -> ExperimentFlags:
    return ExperimentFlags.model_validate({"data": {"source": "toy"}, **groups})


def variant_table(sequences: list[str], targets: np.ndarray) -> VariantTable:
    n = len(sequences)
    mutants = [f"A{position}C" for position in range(1, n + 1)]
    rows = pa.table(
        {
            "id": [f"toy/{mutant}" for mutant in mutants],
            "source": ["toy"] * n,
            "mutant": mutants,
            "sequence": sequences,
            "target": np.asarray(targets, dtype=np.float64),
            "DMS_score": np.asarray(targets, dtype=np.float64),
            "mut_num": pa.array(np.ones(n), pa.int32()),
            "n_merged": pa.array(np.ones(n), pa.int32()),
        }
    )
    return VariantTable(rows, {"toy": sequences[0]})


def one_hot(variants: VariantTable) -> Embedding:
    sequences = variants.rows.column("sequence").to_pylist()
    length = max(map(len, sequences))
    letters = np.array([list(sequence.ljust(length, "-")) for sequence in sequences])
    tokens = np.full(letters.shape, len(AMINO_ACIDS), dtype=np.uint8)
    for index, letter in enumerate(AMINO_ACIDS):
        tokens[letters == letter] = index
    return Embedding(variants.rows.column("id").combine_chunks(), {"name": "onehot"}, tokens=tokens)


def dense(variants: VariantTable, vectors: np.ndarray) -> Embedding:
    info = {"name": "esm2_t6_8M_UR50D", "pooling": "mean"}
    return Embedding(variants.rows.column("id").combine_chunks(), info, vectors=vectors.astype(np.float32))


def split_of(variants: VariantTable, *parts: tuple[Any, Any, Any]) -> Split:
    folds = [Fold(*(np.asarray(rows, dtype=np.int64) for rows in part)) for part in parts]
    ids = variants.rows.column("id").combine_chunks()
    return Split(ids, folds, pa.array(["because"] * variants.n_variants))


def random_sequences(n: int, length: int, rng: np.random.Generator, *, mutations: int = 2) -> list[str]:
    template = rng.choice(list(AMINO_ACIDS), length)
    sequences = []
    for _ in range(n):
        sequence = template.copy()
        sequence[rng.choice(length, mutations, replace=False)] = rng.choice(list(AMINO_ACIDS), mutations)
        sequences.append("".join(sequence))
    return sequences


def random_backbone(folder: Path) -> Path:
    """Random weights of the smallest ESM-2 as a checkpoint in fair-esm's form."""
    import argparse

    import torch

    from proteinx_pipelines.stages.embedding.esm2_weights import expected_shapes

    generator = torch.Generator().manual_seed(5)
    tensors = {
        f"encoder.sentence_encoder.{name}": torch.randn(shape, generator=generator)
        * (0.1 if len(shape) == 1 else 0.06)
        + (1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for name, shape in expected_shapes(6, 320).items()
    }
    settings = argparse.Namespace(
        encoder_layers=6, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True
    )
    path = folder / "esm2_t6_8M_UR50D.pt"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"cfg": {"model": settings}, "model": tensors}, path)
    return path


class ToyExperiment:
    """60 variants of 12 residues with an additive target; 40 to train, 10 to validate, 10 to test."""

    def __init__(self, folder: Path, *, n_folds: int = 1, n: int = 60) -> None:
        rng = np.random.default_rng(7)
        sequences = random_sequences(n, 12, rng)
        effects = rng.normal(size=(12, 20))
        scores = [sum(effects[i, AMINO_ACIDS.index(a)] for i, a in enumerate(s)) for s in sequences]
        self.variants = variant_table(sequences, np.array(scores))
        self.embedding = one_hot(self.variants)
        order = rng.permutation(n)
        parts = [np.roll(order, k * n // 6) for k in range(n_folds)]
        cuts = (n * 4 // 6, n * 5 // 6)
        self.split = split_of(
            self.variants, *[tuple(np.sort(p) for p in np.split(part, cuts)) for part in parts]
        )
        self.directory = ExperimentDir(folder, "toy")
        self.directory.root.mkdir(parents=True, exist_ok=True)

    def train(
        self, monitor: StageMonitor | None = None, checkpoint: Path | None = None, **groups: Any
    ) -> Training:
        return train_models(
            self.variants,
            self.embedding,
            self.split,
            flags(**groups),
            directory=self.directory,
            monitor=monitor or StageMonitor(),
            checkpoint=checkpoint,
        )


class Notebook(StageMonitor):
    """A monitor that remembers; `stop_at` raises after that many calls of `progress`."""

    def __init__(self, stop_at: int | None = None, error: Exception | None = None) -> None:
        self.metrics: list[dict[str, Any]] = []
        self.histograms: list[dict[str, Any]] = []
        self.events: list[str] = []
        self.fractions: list[float] = []
        self._stop_at, self._error = stop_at, error

    def progress(self, done: float, total: float, note: str = "") -> None:
        self.fractions.append(done / total)
        if self._error and len(self.fractions) >= (self._stop_at or 0):
            raise self._error

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        self.metrics.append({"name": name, "value": value, "step": step, "epoch": epoch, "fold": fold})

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        self.histograms.append({"name": name, "counts": counts, "edges": edges, "step": step, "fold": fold})

    def event(self, name: str, **payload: Any) -> None:
        self.events.append(name)

    def values(self, name: str) -> list[float]:
        return [entry["value"] for entry in self.metrics if entry["name"] == name]
