"""Inputs that never change: what each stage is given when its output is compared with the recorded one.

Synthetic: 60 measured rows (`rows.csv`), and the 55 variants that came of them when they were frozen
(`variants.csv`). Everything else is a formula, so that no stage's input depends on another stage.
"""

import sqlite3
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Fold, Selection, Split, VariantTable

FOLDER = Path(__file__).parent
TEMPLATE = "MKTAYIAKQRQISFVKSH"
TEMPLATES = {"OTHER": TEMPLATE, "TOY": TEMPLATE}
_TEXT = ("id", "source", "mutant", "sequence")


def selection() -> Selection:
    """All 60 rows: replicates, two spellings of one variant, a stop, a missing score, the wild type."""
    types = {"source": pa.string(), "mutant": pa.string(), "DMS_score": pa.float64(), "mut_num": pa.int32()}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    rows = pyarrow.csv.read_csv(FOLDER / "rows.csv", convert_options=options)
    rows = rows.add_column(3, "DMS_score_bin", pa.nulls(rows.num_rows, pa.string()))
    return Selection(rows, TEMPLATES, {})


def catalog(path: Path) -> Path:
    """The same rows as a database."""
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);"
            "CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,"
            " mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));"
        )
        for number, (name, template) in enumerate(sorted(TEMPLATES.items()), start=1):
            connection.execute("INSERT INTO sources VALUES (?, ?, ?)", (number, name, template))
            for row in selection().rows.to_pylist():
                if row["source"] == name:
                    values = (row["mutant"], row["DMS_score"], row["mut_num"], number)
                    connection.execute(
                        "INSERT INTO mutations(mutant, DMS_score, mut_num, source) VALUES (?, ?, ?, ?)",
                        values,
                    )
    return path


def variants(n: int | None = None) -> VariantTable:
    """The first `n` variants, as a transform once left them; all when None."""
    types = dict.fromkeys(_TEXT, pa.string()) | {
        "target": pa.float64(), "DMS_score": pa.float64(), "mut_num": pa.int32(), "n_merged": pa.int32(),
    }  # fmt: skip
    rows = pyarrow.csv.read_csv(
        FOLDER / "variants.csv", convert_options=pyarrow.csv.ConvertOptions(column_types=types)
    )
    rows = rows if n is None else rows.slice(0, n)
    present = set(rows.column("source").to_pylist())
    return VariantTable(rows, {name: text for name, text in TEMPLATES.items() if name in present})


def one_hot(of: VariantTable) -> Embedding:
    """Residue tokens of the variants."""
    letters = np.array([list(text) for text in of.rows.column("sequence").to_pylist()])
    tokens = np.searchsorted(list(AMINO_ACIDS), letters).astype(np.uint8)
    info = {"name": "onehot", "version": "1", "width": tokens.shape[1] * 20, "residues": tokens.shape[1]}
    return Embedding(of.rows.column("id").combine_chunks(), info, tokens=tokens)


def vectors(of: VariantTable, width: int = 16) -> Embedding:
    """Vectors that a formula makes from the one-hot ones."""
    dense = one_hot(of).dense()
    directions = np.sin(np.outer(np.arange(1, dense.shape[1] + 1), np.arange(1, width + 1)))
    info = {"name": "esm2_t6_8M_UR50D", "version": "1", "pooling": "mean", "layer": 6, "width": width}
    return Embedding(
        of.rows.column("id").combine_chunks(), info, vectors=(dense @ directions).astype(np.float32)
    )


def split(of: VariantTable, folds: int = 1) -> Split:
    """Every fifth row (from the fold's number on) is tested, the one behind it is validated on."""
    rows = np.arange(of.n_variants)
    parts = [
        Fold(rows[(rows + k) % 5 > 1], rows[(rows + k) % 5 == 1], rows[(rows + k) % 5 == 0])
        for k in range(folds)
    ]
    return Split(of.rows.column("id").combine_chunks(), parts, pa.array(["by number"] * of.n_variants))


def write_checkpoint(path: Path) -> Path:
    """An ESM-2 of the 8M architecture whose every weight is a sine: the same on every machine and version."""
    from argparse import Namespace

    import torch
    from esm.model.esm2 import ESM2

    model = ESM2(num_layers=6, embed_dim=320, attention_heads=20, alphabet="ESM-1b")
    tensors = {}
    for number, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        wave = np.sin(np.arange(tensor.numel()) * 0.7548776662 + number).reshape(tensor.shape)
        scale, shift = (0.1, 1.0) if "layer_norm" in name and name.endswith("weight") else (0.08, 0.0)
        value = torch.from_numpy((scale * wave + shift).astype(np.float32))
        tensors[f"encoder.sentence_encoder.{name}"] = tensor if "inv_freq" in name else value
    settings = Namespace(
        encoder_layers=6, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True
    )
    torch.save({"cfg": {"model": settings}, "model": tensors}, path)
    return path
