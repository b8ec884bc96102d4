"""Unusable values end in an error of ours, never in `stage_failed`; odd but meaningful ones work."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings

NETWORK = {"model.name": "mlp", "train.max_epochs": 2}
PLAIN = {"evaluate.plots": False, "evaluate.bootstrap": 0}
NO_TEMPLATE = (
    "CREATE TABLE s AS SELECT id, source_text, NULL AS template FROM sources; DROP TABLE sources;"
    "ALTER TABLE s RENAME TO sources"
)


def run(settings: Settings, flags: Mapping[str, Any], sql: str = "") -> Mapping[str, Any]:
    """An experiment on the toy catalog, changed by a statement."""
    with sqlite3.connect(settings.database_path) as connection:
        connection.executescript(sql)
    return run_local_experiment(settings, "e", parse_flags({"data.source": "TOY", **PLAIN, **flags})).summary


@pytest.mark.parametrize(
    ("flags", "sql", "code", "words"),
    [
        ({}, NO_TEMPLATE, "bad_catalog", "`template` of the source 'TOY' is NULL"),
        ({}, "UPDATE sources SET template = x'4d51'", "bad_catalog", "`template` of the source 'TOY' is no text"),
        ({}, "UPDATE sources SET template = ''", "bad_catalog", "`template` of the source 'TOY' is empty"),
        ({}, "UPDATE mutations SET mut_num = 5000000000 WHERE id = 3", "bad_catalog", "goes from 1 to 5,000,000,000"),
        ({}, "UPDATE mutations SET mut_num = -1 WHERE id = 3", "bad_catalog", "goes from -1 to 2"),
        ({}, "UPDATE mutations SET DMS_score = 9e999 WHERE id = 3", "bad_variants", "finite scores"),
        ({"transform.clip.min": 1e300, **NETWORK}, "", "training_diverged", "training loss became inf"),
        ({"trainer.val_check_interval": 10**6, **NETWORK}, "", "bad_flags", "must be less than or equal"),
        ({"trainer.strategy": "fsdp", **NETWORK}, "", "bad_flags", "Lightning does not accept"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_words(
    settings: Settings, flags: Mapping[str, Any], sql: str, code: str, words: str
) -> None:
    with pytest.raises(ProteinxError, match=words) as caught:
        run(settings, flags, sql)
    assert caught.value.code == code
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("flags", "sql"),
    [
        ({"transform.clip.min": 1e300}, ""),
        ({"transform.clip.max": -1e300, "model.name": "gp"}, ""),
        ({"transform.clip.min": 1e39, "evaluate.plots": True}, ""),
        ({}, "UPDATE mutations SET DMS_score = 1e308 WHERE id = 3"),
        ({"trainer.max_steps": 1, **NETWORK}, ""),
        ({"trainer.check_val_every_n_epoch": 100, **NETWORK}, ""),
        ({"model.alpha": 1e12}, ""),
    ],
)  # fmt: skip
def test_what_is_odd_and_means_something_works(
    settings: Settings, flags: Mapping[str, Any], sql: str
) -> None:
    assert "test/spearman" in run(settings, flags, sql)


@pytest.mark.parametrize("name", ["a $x^{$ b", "$$", "<b>$\\frac{1}{0}$</b>", "_{$}", "\\$", "100 % $ 5"])
def test_the_name_of_a_source_is_no_formula(settings: Settings, name: str) -> None:
    """The title of a picture ended the experiment."""
    sql = f"UPDATE sources SET source_text = '{name}'"
    assert run(settings, {"data.source": name, "evaluate.plots": True}, sql)


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": None}, {"state_dict": [1, 2]}, {"state_dict": {"a": 1}}, {}, [], {"state_dict": "x"},
        {"state_dict": {}, "optimizer_states": [], "loops": None}, {"state_dict": {}, "callbacks": None},
        {"state_dict": {}, "callbacks": {"TrainedRows": 5}, "loops": {"fit_loop": 1}, "optimizer_states": []},
    ],
)  # fmt: skip
def test_a_file_that_is_no_checkpoint_is_the_sender_s_fault(
    settings: Settings, tmp_path: Path, content: Any
) -> None:
    """A trace, or `corrupt_artifact`, which the node tried ten times as its own trouble."""
    import torch

    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(ProteinxError, match="ckpt_path") as caught:
        run(settings, {**NETWORK, "train.ckpt_path": str(tmp_path / "x.ckpt")})
    assert (caught.value.code, caught.value.retryable) == ("bad_flags", False)


@pytest.mark.parametrize("content", [b"", b"abc", b"PK\x03\x04", b"\x80\x04\x95cos\nsystem\n."])
def test_nor_is_any_other_file(settings: Settings, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(ProteinxError, match="ckpt_path") as caught:
        run(settings, {**NETWORK, "train.ckpt_path": str(tmp_path / "x.ckpt")})
    assert (caught.value.code, caught.value.retryable) == ("bad_flags", False)
