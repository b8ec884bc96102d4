"""What `flags.reading` says that a model does not read, it does not read: other values give the same numbers."""

import building
import numpy as np
import pytest

from proteinx_pipelines.flags.model import MODELS, NETWORKS
from proteinx_pipelines.flags.reading import unread
from proteinx_pipelines.stages.train.export import load_model

OTHER_VALUES = {
    "model": {"alpha": 7.0, "kernel": "linear", "prior": "default", "hidden_dims": [5], "channels": 8,
              "kernel_size": 3, "dropout": 0.4, "activation": "tanh", "backbone": "esm2_t12_35M_UR50D",
              "weights": "elsewhere.pt", "tuning": "head", "tuned_layers": 1, "lora_rank": 2, "lora_alpha": 1.0,
              "lora_dropout": 0.5, "lora_targets": ["key"], "checkpointing": True},
    "train": {"lr": 0.3, "batch_size": 7, "max_epochs": 3, "weight_decay": 0.5, "patience": 2, "seed": 11,
              "seeds": 2, "parts": 2, "num_workers": 1, "save_every_n_epochs": 2, "keep_checkpoints": 1,
              "optimizer": "sgd", "momentum": 0.1, "scheduler": "cosine", "warmup_steps": 3, "loss": "huber",
              "huber_delta": 0.1, "metrics": ["ndcg"], "callbacks": ["gradient_accumulation_scheduler"],
              "accumulate": {"0": 2}, "swa_start": 0.1,
              "log_every_n_steps": 3, "histogram_every_n_epochs": 1, "logger": []},
    "trainer": {"gradient_clip_val": 0.1},
}  # fmt: skip
"""A value of each flag of the train stage that is not its default."""
READ_ALL_THE_SAME = {
    "export_pt", "target", "name", "ckpt_path", "search", "search_trials", "search_metric", "tasks",
}  # fmt: skip
"""Those that every model reads, that are named with a file (checkpoint), or refused where they are not read (tasks)."""


def predictions(folder, **groups):
    toy = building.ToyExperiment(folder)
    toy.train(**groups)
    return load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))


def test_every_flag_of_the_stage_has_another_value_here() -> None:
    flags = building.flags()
    for group in ("model", "train"):
        assert set(type(getattr(flags, group)).model_fields) == set(OTHER_VALUES[group]) | (
            READ_ALL_THE_SAME & set(type(getattr(flags, group)).model_fields)
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_unread_flags_change_nothing(tmp_path, name) -> None:
    quick = {"train": {"max_epochs": 2}, "model": {"channels": 8}} if name in NETWORKS else {}
    if name == "finetune":
        quick["model"] = {"weights": str(building.random_backbone(tmp_path))}
    plain = {"model": {**quick.get("model", {}), "name": name}, "train": dict(quick.get("train", {}))}
    given = {group: {**values, **plain.get(group, {})} for group, values in OTHER_VALUES.items()}
    names = unread(building.flags(**given))
    assert names
    only = {group: dict(values) for group, values in plain.items()}
    for dotted, value in names.items():
        group, flag = dotted.split(".")
        only.setdefault(group, {})[flag] = value
    before, after = predictions(tmp_path / "before", **plain), predictions(tmp_path / "after", **only)
    np.testing.assert_array_equal(before, after)
