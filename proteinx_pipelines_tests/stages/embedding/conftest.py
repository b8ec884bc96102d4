"""A checkpoint of random weights in fair-esm's form, fair-esm's own model of it, and small variant tables."""

from argparse import Namespace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import VariantTable

TEMPLATES = {"long": "MKTAYIAKQRQISFVKSHFSRQLE", "short": "ACDEFGHIKLMNPQRSY"}


@pytest.fixture(scope="session")
def fair_model():
    """fair-esm's ESM2 of the 8M architecture; every parameter random, so that none can be forgotten."""
    import torch
    from esm.model.esm2 import ESM2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ESM2(num_layers=6, embed_dim=320, attention_heads=20, alphabet="ESM-1b").eval()
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.data += 0.2 * torch.randn_like(parameter)
    return model


@pytest.fixture(scope="session")
def checkpoint(fair_model, tmp_path_factory):
    """The same model as a file, as fair-esm publishes them: prefixed keys, settings in a Namespace."""
    return save_checkpoint(
        tmp_path_factory.mktemp("weights") / "esm2_t6_8M_UR50D.pt", fair_model.state_dict()
    )


def save_checkpoint(path, state, **settings):
    import torch

    known = {
        "encoder_layers": 6,
        "encoder_embed_dim": 320,
        "encoder_attention_heads": 20,
        "token_dropout": True,
    }
    tensors = {f"encoder.sentence_encoder.{key}": tensor for key, tensor in state.items()}
    torch.save({"cfg": {"model": Namespace(**known | settings)}, "model": tensors}, path)
    return path


@pytest.fixture(scope="session")
def write_checkpoint():
    return save_checkpoint


@pytest.fixture(scope="session")
def variant_table():
    """Rows of (source, mutant, sequence) to a table; other columns are there and say nothing."""
    return make_table


def make_table(rows, templates=TEMPLATES):
    n = len(rows)
    columns = {
        "id": pa.array([f"{source}/{mutant}" for source, mutant, _ in rows], pa.string()),
        "source": pa.array([row[0] for row in rows], pa.string()),
        "mutant": pa.array([row[1] for row in rows], pa.string()),
        "sequence": pa.array([row[2] for row in rows], pa.string()),
        "target": pa.array(np.zeros(n)),
        "DMS_score": pa.array(np.zeros(n)),
        "mut_num": pa.array(np.ones(n, dtype=np.int32)),
        "n_merged": pa.array(np.ones(n, dtype=np.int32)),
    }
    return VariantTable(rows=pa.table(columns), templates=templates)


def mutated(source, *mutations):
    letters = list(TEMPLATES[source])
    for mutation in mutations:
        assert letters[int(mutation[1:-1]) - 1] == mutation[0]
        letters[int(mutation[1:-1]) - 1] = mutation[-1]
    return source, ":".join(mutations) or "WT", "".join(letters)


@pytest.fixture(scope="session")
def variants():
    """Eight rows of two templates, interleaved: a wild type, singles, a double, one sequence twice."""
    return make_table(
        [
            mutated("long", "M1A"),
            mutated("short", "A1W"),
            mutated("long"),
            mutated("long", "K2R", "E24W"),
            mutated("short", "Y17A"),
            mutated("long", "T3C"),
            ("long", "T3C:A4A", mutated("long", "T3C")[2]),
            mutated("short"),
        ]
    )


class Listener(StageMonitor):
    """Remembers what it was told."""

    def __init__(self):
        self.steps = []
        self.events = {}

    def progress(self, done, total, note=""):
        self.steps.append((done, total, note))

    def event(self, name, **payload):
        self.events[name] = payload


@pytest.fixture
def listener():
    return Listener()
