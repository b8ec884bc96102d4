"""Whole experiments: a sequence embedded by any of them goes through the model only once."""

import sqlite3
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings

STAGES = ("selection", "transform", "embedding")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 8M architecture with random weights, in fair-esm's form."""
    import torch
    from esm.model.esm2 import ESM2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ESM2(num_layers=6, embed_dim=320, attention_heads=20, alphabet="ESM-1b").eval()
    settings = Namespace(
        encoder_layers=6, encoder_embed_dim=320, encoder_attention_heads=20, token_dropout=True
    )
    tensors = {f"encoder.sentence_encoder.{key}": tensor for key, tensor in model.state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "esm2_t6_8M_UR50D.pt"
    torch.save({"cfg": {"model": settings}, "model": tensors}, path)
    return path


def embed(settings: Settings, experiment_id: str, weights: Path, **changes: Any) -> StageEntry:
    """The first three stages, as an operator's script would run them; the embedding's entry."""
    flags = parse_flags(
        {
            "data.source": "TOY", "embedding.name": "esm2_t6_8M_UR50D", "embedding.weights": str(weights),
            "embedding.layer": 1, **changes,
        }
    )  # fmt: skip
    attempt = Attempt(settings, experiment_id, flags, confined=False)
    try:
        for name in STAGES:
            entry = attempt.publish(attempt.run_stage(name, attempt.record))
    finally:
        attempt.close()
    return entry


def counts(entry: StageEntry) -> tuple[int, int]:
    return entry.details["sequences_reused"], entry.details["sequences_computed"]


def test_only_the_rows_that_are_new_are_embedded(settings: Settings, weights: Path) -> None:
    first = embed(settings, "a", weights, **{"data.where": [{"column": "mut_num", "op": "<", "value": 2}]})
    assert counts(first) == (0, 180)
    second = embed(settings, "b", weights)
    assert second.action == "computed"
    assert counts(second)[0] == 180
    assert 0 < counts(second)[1] <= 40


def test_a_grown_database_costs_what_was_added(settings: Settings, weights: Path) -> None:
    embed(settings, "a", weights, **{"data.limit": 60})
    embed(settings, "b", weights, **{"data.mut_num": {"max": 1}})
    with sqlite3.connect(settings.database_path) as connection:
        connection.execute("INSERT INTO mutations VALUES (9001, 'M1A:Q2A:Y3A', 0.5, NULL, 3, 1)")
        connection.execute("INSERT INTO mutations VALUES (9002, 'M1C:Q2A:Y3A', 0.7, NULL, 3, 1)")
    grown = embed(
        settings, "c", weights, **{"data.where": [{"column": "mut_num", "op": "in", "value": [1, 3]}]}
    )
    assert counts(grown) == (180, 2)


def test_the_vectors_are_the_same_wherever_they_come_from(settings: Settings, weights: Path) -> None:
    """Vectors from the store are byte for byte those from the model."""
    made = embed(settings, "a", weights, **{"data.limit": 20})
    kept = embed(settings, "b", weights, **{"data.limit": 20, "embedding.tokens_per_batch": 8191})
    assert counts(kept) == (20, 0)
    assert made.key != kept.key
    assert kept.digests["all"] == made.digests["all"]
    found = [settings.experiments_dir / name / "embeddings" / "embeddings.safetensors" for name in "ab"]
    assert file_sha256(found[0]) == file_sha256(found[1])


def test_other_weights_are_another_embedder(settings: Settings, weights: Path, tmp_path: Path) -> None:
    import torch

    embed(settings, "a", weights, **{"data.limit": 10})
    checkpoint = torch.load(weights, weights_only=False)
    checkpoint["model"]["encoder.sentence_encoder.embed_tokens.weight"] += 0.01
    torch.save(checkpoint, tmp_path / "esm2_t6_8M_UR50D.pt")
    other = embed(settings, "b", tmp_path / "esm2_t6_8M_UR50D.pt", **{"data.limit": 10})
    assert counts(other) == (0, 10)


def test_one_hot_letters_are_not_kept(settings: Settings, weights: Path) -> None:
    attempt = Attempt(settings, "a", parse_flags({"data.source": "TOY"}))
    for name in STAGES:
        attempt.publish(attempt.run_stage(name, attempt.record))
    attempt.close()
    assert not (settings.workdir / "store" / "sequences").exists()
