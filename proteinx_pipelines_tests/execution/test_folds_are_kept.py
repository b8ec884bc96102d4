"""A killed training of any model continues at its current fold, and ends with the same bytes.

Once only networks continued, from their checkpoints: every other model fitted all of its folds again.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import Cancelled, FlagError
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train.registry import MODELS
from proteinx_pipelines.stages.train.shard import plan_shards
from proteinx_pipelines.stages.train.shard_files import finished_shards

FOLDS = 4
KILLED_AT = 2
"""Folds that are finished when the process is killed."""


def flags_of(model: str, /, **more: Any) -> dict[str, Any]:
    flags = {
        "data": {"source": "TOY"},
        "split": {"method": "random", "folds": FOLDS},
        "evaluate": {"bootstrap": 0, "plots": False},
        "model": {"name": model},
    }
    if MODELS[model].has_epochs:
        flags.update(train={"max_epochs": 2, "patience": None}, trainer={"accelerator": "cpu"})
    return {**flags, **more}


def fitted_by(
    settings: Settings, experiment_id: str, flags: dict[str, Any], *, number: int = 1, stop: Any = None
) -> list[int]:
    """Stages up to training, in this process; the folds that were fitted. `stop(fold)` is called after each."""
    attempt = Attempt(settings, experiment_id, parse_flags(flags), number=number)
    event, folds = attempt.monitor.event, []

    def note(name: str, **payload: Any) -> None:
        event(name, **payload)
        if name == "model_fitted":
            folds.append(payload.get("fold", 0))
        if name == "model_fitted" and stop is not None:
            stop(payload.get("fold", 0))

    attempt.monitor.event = note  # type: ignore[method-assign]
    try:
        for stage in ("selection", "transform", "embedding", "split", "train", "evaluate"):
            attempt.publish(attempt.run_stage(stage, attempt.record))
    finally:
        attempt.close()
    return folds


def left_behind(settings: Settings, experiment_id: str) -> dict[str, bytes]:
    """Every file of the models, and what was predicted."""
    directory = ExperimentDir(settings.experiments_dir, experiment_id)
    found = {path.relative_to(directory.root).as_posix(): path.read_bytes()
             for path in sorted(directory.model_dir.rglob("*")) if path.is_file()}  # fmt: skip
    return {**found, "predictions": directory.predictions.read_bytes()}


KILLED = """
import os, signal, sys
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.test_folds_are_kept import KILLED_AT, fitted_by, flags_of

import proteinx_pipelines.stages.train.shards as shards
run = shards.run_shard

def run_shard(shard, *args, **kwargs):
    if shard.fold == KILLED_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(shard, *args, **kwargs)

import proteinx_pipelines.stages.train.train as train
train.run_shard = run_shard
fitted_by(load_settings(), "killed", flags_of(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("model", ["ridge", "ridge_cv", "gp", "boosting", "forest", "auto", "mlp"])
def test_a_killed_training_goes_on_at_its_fold_and_ends_the_same(settings: Settings, model: str) -> None:
    environment = {**os.environ, "PROTEINX_WORKDIR": str(settings.workdir)}
    root = Path(__file__).resolve().parents[2]
    process = subprocess.run(
        [sys.executable, "-c", KILLED, model], env={**environment, "PYTHONPATH": str(root)}, check=False,
        cwd=settings.workdir, capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
    again = fitted_by(settings, "killed", flags_of(model), number=2)
    assert again == list(range(KILLED_AT, FOLDS))
    settings.paths.store_dir.rename(settings.workdir / "gone")  # or the next one would take the training over
    assert fitted_by(settings, "whole", flags_of(model)) == list(range(FOLDS))
    assert left_behind(settings, "killed") == left_behind(settings, "whole")


def test_the_table_of_models_has_none_that_is_not_tried() -> None:
    """Models of one module are tried once, networks by one of them: their trainings are one code."""
    tried = {"ridge", "ridge_cv", "gp", "boosting", "forest", "auto", "mlp"}
    assert {name for name, entry in MODELS.items() if not entry.has_epochs} <= tried


def stop_after(last: int) -> Any:
    def stop(fold: int) -> None:
        if fold == last:
            raise Cancelled("enough")

    return stop


def interrupted(settings: Settings, flags: dict[str, Any]) -> ExperimentDir:
    """An attempt that was stopped after fold 1; its staging directory."""
    with pytest.raises(Cancelled):
        fitted_by(settings, "e", flags, stop=stop_after(1))
    return ExperimentDir(settings.paths.staging_dir / "g1-a1", "e")


@pytest.mark.parametrize("change", [{"train": {"seed": 7}}, {"model": {"name": "ridge", "alpha": 9.0}}])
def test_folds_of_another_training_are_not_kept(settings: Settings, change: dict[str, Any]) -> None:
    interrupted(settings, flags_of("ridge"))
    assert fitted_by(settings, "e", flags_of("ridge", **change), number=2) == list(range(FOLDS))


def test_all_anew_means_all_folds(settings: Settings) -> None:
    interrupted(settings, flags_of("ridge"))
    flags = parse_flags(flags_of("ridge", run={"resume": False}))
    attempt = Attempt(settings, "e", flags, generation=2)
    for stage in ("selection", "transform", "embedding", "split", "train"):
        attempt.publish(attempt.run_stage(stage, attempt.record))
    attempt.close()
    events = read_events(settings, "g2-a1")
    assert "training_continued" not in events
    assert events.count("model_fitted") == FOLDS


def read_events(settings: Settings, attempt: str) -> list[str]:
    from proteinx_pipelines.experiment_dir.json_lines import read_json_lines

    directory = ExperimentDir(settings.experiments_dir, "e")
    return [record["event"] for record in read_json_lines(directory.events_dir / f"{attempt}.jsonl")]


@pytest.mark.parametrize("file", ["model.json", "model.safetensors"])
def test_a_fold_whose_model_is_damaged_is_fitted_again(settings: Settings, file: str) -> None:
    staging = interrupted(settings, flags_of("ridge"))
    path = staging.model_dir / "fold_0" / file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert fitted_by(settings, "e", flags_of("ridge"), number=2) == [0, 2, 3]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"fold": 0}', b"\xff"])
def test_half_a_record_of_a_crash_is_no_finished_fold(settings: Settings, content: bytes) -> None:
    staging = interrupted(settings, flags_of("ridge"))
    staging.shard(0).write_bytes(content)
    assert fitted_by(settings, "e", flags_of("ridge"), number=2) == [0, 2, 3]


def test_nothing_of_the_bookkeeping_becomes_part_of_the_experiment(settings: Settings) -> None:
    fitted_by(settings, "e", flags_of("ridge"))
    directory = ExperimentDir(settings.experiments_dir, "e")
    assert not directory.shards_dir.exists()
    assert not list(settings.paths.staging_dir.glob("*/e"))


def test_a_second_interruption_keeps_what_both_attempts_finished(settings: Settings) -> None:
    interrupted(settings, flags_of("ridge"))
    with pytest.raises(Cancelled):
        fitted_by(settings, "e", flags_of("ridge"), number=2, stop=stop_after(2))
    assert fitted_by(settings, "e", flags_of("ridge"), number=3) == [3]


def test_a_failure_that_would_come_again_is_not_continued(settings: Settings) -> None:
    def fail(fold: int) -> None:
        if fold == 1:
            raise FlagError(["bad"])

    with pytest.raises(FlagError):
        fitted_by(settings, "e", flags_of("ridge"), stop=fail)
    assert fitted_by(settings, "e", flags_of("ridge"), number=2) == list(range(FOLDS))


def test_shards_may_be_run_in_any_order(settings: Settings) -> None:
    """Requirement of a scheduler of shards: the training is the same for every order."""
    import numpy as np

    from proteinx_pipelines.experiment_dir.codecs import embedding, split, train, transform
    from proteinx_pipelines.monitor import StageMonitor
    from proteinx_pipelines.stages.train.shard import ShardInputs
    from proteinx_pipelines.stages.train.shards import run_shard
    from proteinx_pipelines.stages.train.train import finish

    fitted_by(settings, "e", flags_of("ridge"))
    whole = ExperimentDir(settings.experiments_dir, "e")
    flags = parse_flags(flags_of("ridge"))
    inputs = ShardInputs(
        MODELS["ridge"], transform.load(whole), embedding.load(whole), split.load(whole), flags
    )
    parts = ExperimentDir(settings.workdir / "elsewhere", "e")
    shards = plan_shards(inputs.split, flags)
    order = np.random.default_rng(0).permutation(len(shards))
    results = [run_shard(shards[k], inputs, directory=parts, monitor=StageMonitor()) for k in order]
    assert finished_shards(shards, parts) == {result.fold: result for result in results}
    train.save(finish(inputs, results, parts), parts)
    for path in whole.model_dir.rglob("*.*"):
        assert path.read_bytes() == parts.path(path.relative_to(whole.root).as_posix()).read_bytes()
    assert read_json(parts.path(train.TRAINING_FILE)) == read_json(whole.path(train.TRAINING_FILE))
