"""`trainer.num_nodes`: two machines, here two "nodes" on 127.0.0.1, train what two processes of one node do."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from proteinx_pipelines.errors import BackendError, FlagError, WorkerLost
from proteinx_pipelines.execution.shards import kept
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train import meeting
from proteinx_pipelines.stages.train.meeting import ADDRESS, ARRANGED, PORT, Place
from proteinx_pipelines_tests.chaos.trials import how_often
from proteinx_pipelines_tests.dask_cluster import REPOSITORY
from proteinx_pipelines_tests.execution.test_folds_are_kept import fitted_by, flags_of, left_behind
from proteinx_pipelines_tests.object_servers import free_port


def flags(**trainer: Any) -> dict[str, Any]:
    return flags_of(
        "mlp", split={"method": "random"}, train={"max_epochs": 4, "patience": None},
        trainer={"accelerator": "cpu", **trainer},
    )  # fmt: skip


def two_free_ports() -> int:
    """The first of two ports side by side."""
    while True:
        port = free_port()
        with socket.socket() as second, contextlib.suppress(OSError, OverflowError):
            second.bind(("127.0.0.1", port + 1))
            return port


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    found = Place("127.0.0.1", two_free_ports())
    monkeypatch.setenv(ADDRESS, found.host)
    monkeypatch.setenv(PORT, str(found.port))
    return found


def test_a_training_without_a_meeting_is_refused_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    monkeypatch.delenv(PORT, raising=False)
    monkeypatch.delenv(ARRANGED, raising=False)
    with pytest.raises(
        FlagError,
        match=r"to a Master with 2 nodes; or set MASTER_ADDR .* MASTER_PORT, and start `proteinx rank",
    ) as raised:
        fitted_by(settings, "e", flags(num_nodes=2))
    assert not raised.value.retryable


def test_machines_that_do_not_come_are_the_nodes_trouble(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    monkeypatch.setattr(meeting, "WAIT_S", 0.5)
    with pytest.raises(BackendError, match="Of the 1 other machines of this training, 0 came") as raised:
        fitted_by(settings, "e", flags(num_nodes=2))
    assert raised.value.retryable


def test_folds_of_several_machines_meet_one_after_the_other(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, place: Place
) -> None:
    """As shards, at once, each but one would find its port taken."""
    monkeypatch.setattr(meeting, "WAIT_S", 0.2)
    monkeypatch.setattr(kept, "shard_pool", lambda *_: pytest.fail("they were spread"))
    with pytest.raises(BackendError, match="0 came"):
        fitted_by(
            settings,
            "e",
            {**flags(num_nodes=2), "split": {"method": "random", "folds": 2}, "run": {"shards": 2}},
        )


def test_a_machine_that_is_lent_to_one_experiment_takes_no_part_in_another(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left over from a training that has ended, it would take the number of a machine of the next one."""
    monkeypatch.setattr(meeting, "WAIT_S", 0.2)
    (tmp_path / "job").mkdir()
    with meeting.open_meeting(place, 2) as held:
        with pytest.raises(BackendError):
            held.gather(tmp_path / "job", "mine", lambda: None)
        assert meeting.ask(place, tmp_path, "", "another") is None
        assert not held._store.check(["came"])


@pytest.mark.parametrize("text", ["", "10.0.0.7", ":29500", "10.0.0.7:0", "10.0.0.7:x", "h:70000"])
def test_a_place_is_an_address_and_a_port(text: str) -> None:
    assert Place.of("10.0.0.7:29500") == Place("10.0.0.7", 29500)
    with pytest.raises(ValueError, match="host:port is expected"):
        Place.of(text)


@pytest.fixture
def lender(place: Place, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another machine, whose rank is killed at its third epoch the first time."""
    command = [sys.executable, "-m", "proteinx_pipelines_tests.dying_rank"]
    process = subprocess.Popen(
        [*command, f"{place.host}:{place.port}", str(tmp_path / "mark")],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    for each in [*psutil.Process(process.pid).children(recursive=True), process]:
        each.kill()
    process.wait()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_rank_of_another_machine_costs_an_epoch_and_the_weights_are_those_of_one_machine(
    settings: Settings, lender: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    with pytest.raises(WorkerLost) as raised:
        fitted_by(settings, "many", flags(num_nodes=2))
    assert raised.value.retryable
    assert (tmp_path / "mark").exists()
    checkpoints = list(settings.paths.staging_dir.glob("*/many/ckpts/last.ckpt"))
    assert len(checkpoints) == 1  # what the next attempt continues from
    fitted_by(settings, "many", flags(num_nodes=2), number=2)
    assert lender.poll() is None  # it came again by itself
    if how_often(0, 1):  # two more processes that load PyTorch
        fitted_by(settings, "one", flags(strategy="ddp", devices=2))
        assert weights(settings, "many") == weights(settings, "one")


def weights(settings: Settings, experiment_id: str) -> bytes:
    return left_behind(settings, experiment_id)["artifacts/model/fold_0/model.safetensors"]
