"""Training in several processes from where a Celery task runs: a daemonic child, a foreign command line."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import billiard
import building
import numpy as np
import prefork
import psutil
import pytest

from proteinx_pipelines.errors import Cancelled, TrainingDiverged, WorkerLost
from proteinx_pipelines.flags.train import TrainFlags
from proteinx_pipelines.stages.train import ddp_launch
from proteinx_pipelines.stages.train.callbacks import Checkpoints
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.processes import may_have_children

NET = {"name": "mlp", "hidden_dims": [8]}
FIT = {"max_epochs": 2, "lr": 0.02, "batch_size": 16, "target": "standardize", "logger": []}
DDP = {"accelerator": "cpu", "strategy": "ddp", "devices": 2}


def in_daemonic_child(library, folder, *runs):
    report = folder / "report.json"
    child = library.get_context("spawn").Process(
        target=prefork.train_in_child, args=(folder, list(runs), report), daemon=True
    )
    child.start()
    child.join(120)
    assert child.exitcode == 0
    return json.loads(report.read_text())


def predictions(folder):
    toy = building.ToyExperiment(folder)
    return load_model(toy.directory.model_dir / "fold_0").predict(toy.embedding, np.arange(60))


def ours(parent):
    return [child for child in psutil.Process(parent).children(recursive=True) if _is_ours(child)]


def _both(parent):
    found = ours(parent)
    return found if len(found) == 2 else None


def _is_ours(process):
    try:
        return ddp_launch.MODULE in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return found


@pytest.mark.parametrize("library", [multiprocessing, billiard], ids=["multiprocessing", "billiard"])
def test_the_daemon_flag_is_back_afterwards(library):
    process = library.current_process()
    process._config["daemon"] = True
    try:
        with may_have_children():
            assert not process.daemon
        assert process.daemon
    finally:
        del process._config["daemon"]


class Rank:
    """A rank that is told what the first one says, and notes which checkpoints it takes part in."""

    fast_dev_run, global_step = False, 9

    def __init__(self, said=None):
        self.said, self.saved, self.removed, self.strategy = said, [], [], self

    def broadcast(self, value):
        return value if self.said is None else self.said

    def save_checkpoint(self, path):
        self.saved.append(path.name)

    def remove_checkpoint(self, path):
        self.removed.append(path.name)


def test_a_rank_without_the_files_saves_the_checkpoints_that_the_first_rank_does(tmp_path):
    """A continued training on two machines hung at its first worse epoch: each rank chose by the files it saw."""
    flags, before = TrainFlags(keep_checkpoints=2), {"epoch0000.ckpt": [0.1, 0], "epoch0001.ckpt": [0.2, -1]}
    module = SimpleNamespace(validation={"val/loss": 0.3})
    for name in before:
        (tmp_path / name).touch()
    saved = {}
    for folder, said in ((tmp_path, None), (tmp_path / "elsewhere", {**before, "epoch0002.ckpt": [0.3, -2]})):
        kept, rank = Checkpoints(folder, flags), Rank(said)
        kept.load_state_dict({"kept": before, "saved_step": 6})
        with mock.patch(
            "proteinx_pipelines.stages.train.callbacks._validation", lambda each: each.validation
        ):
            kept._save(rank, module, 2)
        saved[said is None] = rank.saved, rank.removed, kept.state_dict()
    assert saved[True] == saved[False]
    assert saved[True][0] == ["last.ckpt"]


@pytest.mark.slow
@pytest.mark.parametrize("library", [multiprocessing, billiard], ids=["multiprocessing", "billiard"])
def test_loader_processes_work_in_a_daemonic_child_and_change_nothing(tmp_path, library):
    alone, loaded = {"model": NET, "train": FIT}, {"model": NET, "train": {**FIT, "num_workers": 2}}
    first, second = in_daemonic_child(library, tmp_path, alone, loaded)
    assert "error" not in {**first, **second}, (first, second)
    assert predictions(tmp_path / "0").tobytes() == predictions(tmp_path / "1").tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [None, 6])
def test_no_loader_process_is_left_behind(tmp_path, stop_at):
    toy = building.ToyExperiment(tmp_path)
    flags = {"model": NET, "train": {**FIT, "num_workers": 1}, "trainer": {"accelerator": "cpu"}}
    try:
        toy.train(building.Notebook(stop_at, stop_at and Cancelled("enough")), **flags)
        assert stop_at is None
    except Cancelled:
        assert not multiprocessing.active_children()
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_two_processes_train_from_a_daemonic_child_what_one_would(tmp_path):
    alone, both = {"model": NET, "train": FIT}, {"model": NET, "train": FIT, "trainer": DDP}
    first, second = in_daemonic_child(multiprocessing, tmp_path, alone, both)
    assert "error" not in {**first, **second}, (first, second)
    # Each optimizer step sees the same rows, half of them in each process; sums differ in the last bits.
    np.testing.assert_allclose(predictions(tmp_path / "0"), predictions(tmp_path / "1"), rtol=1e-4)
    assert len(second["heard"]) == 2
    assert second["heard"] == pytest.approx(first["heard"], rel=1e-4)
    assert not list((tmp_path / "1" / "toy").glob(".train-*"))


@pytest.mark.slow
def test_what_the_processes_say_is_logged_here_and_in_a_file_of_their_own(tmp_path, caplog):
    """It was in the file alone, which `proteinx logs` and failure bundles do not read."""
    toy = building.ToyExperiment(tmp_path)
    with caplog.at_level("INFO"):
        toy.train(model=NET, train=FIT, trainer=DDP)
    said = [record.getMessage() for record in caplog.records if record.name == ddp_launch.log.name]
    for rank in (0, 1):
        assert any(line.startswith(f"rank {rank} INFO lightning.") for line in said), said
    written = toy.directory.processes_log.read_text(encoding="utf-8")
    assert set(said) == {line.rstrip() for line in written.splitlines() if line.strip()}


@pytest.mark.slow
def test_an_error_in_a_process_arrives_as_what_it_is(tmp_path):
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises(TrainingDiverged, match=r"Lower `train\.lr`"):
        toy.train(model=NET, train={**FIT, "lr": 1e30}, trainer=DDP)
    assert not ours(os.getpid())


@pytest.mark.slow
def test_a_stop_ends_all_processes(tmp_path):
    class StopAtFirstMetric(building.Notebook):
        def progress(self, done, total, note=""):
            if self.metrics:
                assert len(ours(os.getpid())) == 2
                raise Cancelled("enough")

    toy = building.ToyExperiment(tmp_path)
    started = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        toy.train(
            StopAtFirstMetric(),
            model=NET,
            train={**FIT, "max_epochs": 100_000, "patience": None},
            trainer=DDP,
        )
    assert not ours(os.getpid())
    assert time.monotonic() - started < 60
    assert not list(toy.directory.root.glob(".train-*"))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL to send to the parent")
def test_the_processes_do_not_outlive_a_killed_parent(tmp_path):
    flags = {"model": NET, "train": {**FIT, "max_epochs": 100_000, "patience": None}, "trainer": DDP}
    code = (
        f"import prefork, pathlib; prefork.train_in_child(pathlib.Path({str(tmp_path)!r}), [{flags!r}], None)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    try:
        children = wait_for(lambda: _both(parent.pid), 60)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        wait_for(lambda: not any(_is_ours(child) for child in children), 15)
    finally:
        parent.kill()
        parent.wait()


def test_a_process_that_vanishes_is_reported_with_its_last_words(tmp_path, monkeypatch):
    monkeypatch.setattr(ddp_launch, "MODULE", "this_module_does_not_exist")
    toy = building.ToyExperiment(tmp_path)
    with pytest.raises(WorkerLost, match="No module named this_module_does_not_exist"):
        toy.train(model=NET, train=FIT, trainer=DDP)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, False), ({"devices": 1}, False), ({"devices": "1", "strategy": "auto"}, False), ({"devices": [3]}, False),
        ({"devices": 2}, True), ({"devices": "auto"}, True), ({"devices": -1}, True), ({"devices": [0, 1]}, True),
        ({"strategy": "ddp"}, True), ({"strategy": "fsdp"}, True),
    ],
)  # fmt: skip
def test_whatever_may_take_several_processes_gets_its_own(arguments, expected):
    assert ddp_launch.needs_own_processes(arguments) == expected
