"""A small real experiment: an additive landscape with noise, one-hot, ridge."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.pages.figures.files import FIGURES, pictures_of
from proteinx_pipelines.pages.report import Identity, render_report
from proteinx_pipelines.records import (
    AMINO_ACIDS,
    Embedding,
    Evaluation,
    Fold,
    Split,
    Training,
    VariantTable,
)

TEMPLATE = "MKTAYIAKQRQI"


def page_of(found: Evaluation) -> str:
    """The report page of an evaluation."""
    content = found.files.get(FIGURES)
    return render_report(found.report, pictures_of(content) if content else [], Identity("toy-1"))


SITES = 6
"""Only the first sites vary, by four residues: few enough effects to be learnt from 60 variants."""


@dataclass(frozen=True)
class SmallExperiment:
    """Everything that `evaluate_models` is given."""

    variants: VariantTable
    embedding: Embedding
    split: Split
    flags: ExperimentFlags
    directory: ExperimentDir

    def train(self, monitor=None) -> Training:
        from proteinx_pipelines.stages.train.train import train_models

        monitor = monitor or StageMonitor()
        return train_models(
            self.variants, self.embedding, self.split, self.flags, directory=self.directory, monitor=monitor
        )

    def evaluate(self, training=None, monitor=None):
        from proteinx_pipelines.stages.evaluate.evaluate import evaluate_models

        return evaluate_models(
            self.variants,
            self.embedding,
            self.split,
            training or self.train(),
            self.flags,
            directory=self.directory,
            monitor=monitor or StageMonitor(),
        )

    def but(self, **changes):
        return replace(self, **changes)


@pytest.fixture
def page():
    """Gives the report page of an evaluation."""
    return page_of


@pytest.fixture
def make_variants():
    def make(n=60, seed=0, source="toy", noise=0.3):
        """n variants of one to three mutations (the first is the wild type), with an additive target."""
        random = np.random.default_rng(seed)
        effects = random.normal(size=(len(TEMPLATE), 20))
        mutants, sequences, targets, counts, seen = [], [], [], [], set()
        while len(mutants) < n:
            positions = np.sort(random.choice(SITES, random.integers(0, 4) if mutants else 0, replace=False))
            letters = list(TEMPLATE)
            for position in positions:
                letters[position] = random.choice(
                    [letter for letter in "DGLW" if letter != TEMPLATE[position]]
                )
            sequence = "".join(letters)
            if sequence in seen:
                continue
            seen.add(sequence)
            mutants.append(":".join(f"{TEMPLATE[p]}{p + 1}{letters[p]}" for p in positions) or "WT")
            sequences.append(sequence)
            targets.append(
                sum(effects[p, AMINO_ACIDS.index(letters[p])] for p in positions) + noise * random.normal()
            )
            counts.append(len(positions))
        rows = pa.table(
            {
                "id": [f"{source}/{mutant}" for mutant in mutants],
                "source": [source] * n,
                "mutant": mutants,
                "sequence": sequences,
                "target": pa.array(targets, pa.float64()),
                "DMS_score": pa.array(targets, pa.float64()),
                "mut_num": pa.array(counts, pa.int32()),
                "n_merged": pa.array([1] * n, pa.int32()),
            }
        )
        return VariantTable(rows, {source: TEMPLATE}, {"missing_score": 2})

    return make


@pytest.fixture
def make_split():
    def make(variants, folds=None, val=0, leave_out=0):
        """A single split (last third tested), or k folds by row number; the last rows may be left out."""
        n = variants.n_variants - leave_out
        rows = np.arange(n)
        if folds:
            parts = [Fold(rows[rows % folds != k], rows[:0], rows[rows % folds == k]) for k in range(folds)]
        else:
            cut = 2 * n // 3
            parts = [Fold(rows[: cut - val], rows[cut - val : cut], rows[cut:])]
        reasons = pa.array(["by row number"] * n + ["left out"] * leave_out)
        return Split(variants.rows.column("id").combine_chunks(), parts, reasons, {"method": "rows"})

    return make


@pytest.fixture
def make_experiment(tmp_path, make_variants, make_split):
    def make(n=60, folds=None, val=0, leave_out=0, noise=0.3, **flags):
        variants = make_variants(n, noise=noise)
        tokens = np.array(
            [[AMINO_ACIDS.index(letter) for letter in text] for text in variants.column("sequence")], np.uint8
        )
        return SmallExperiment(
            variants,
            Embedding(variants.rows.column("id").combine_chunks(), {"name": "onehot"}, tokens=tokens),
            make_split(variants, folds, val, leave_out),
            parse_flags({"data.source": "toy", "evaluate.plots": False, "evaluate.bootstrap": 20, **flags}),
            ExperimentDir(tmp_path / "experiments", "toy-1"),
        )

    return make
