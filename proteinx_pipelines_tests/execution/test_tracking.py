"""Trackers: told in batches after the end, found again at a second try, and never in the way of a result."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.execution import run_local
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.execution.tracking import sending
from proteinx_pipelines.execution.tracking.run import ALIAS, TrackedRun
from proteinx_pipelines.execution.tracking.sending import is_due, tell_all
from proteinx_pipelines.execution.tracking.waiting import offer_to_trackers, waiting
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.run import RunFlags
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines_tests.object_servers import free_port

FLAGS = {
    "data": {"source": "TOY"}, "model": {"name": "ridge"}, "split": {"method": "random", "folds": 2},
    "evaluate": {"bootstrap": 0, "plots": False},
}  # fmt: skip


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes that tell, which end with the test."""
    found: list[subprocess.Popen[bytes]] = []
    start = sending.start_sending

    def noted(settings: Settings) -> "subprocess.Popen[bytes]":
        found.append(start(settings))
        return found[-1]

    monkeypatch.setattr(run_local, "start_sending", noted)
    yield found
    for process in found:
        process.kill()
        process.wait()


@pytest.fixture
def unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is told by the test itself."""
    monkeypatch.setattr(run_local, "start_sending", lambda _settings: None)


def ended(settings: Settings, experiment_id: str, *trackers: str) -> ExperimentDir:
    flags = parse_flags({**FLAGS, "run": {"track": list(trackers)}})
    return run_local_experiment(settings, experiment_id, flags).directory


def test_what_waits_is_small_and_the_next_generation_does_not_change_it(
    settings: Settings, unsent: None
) -> None:
    directory = ended(settings, "e", "tensorboard")
    (each,) = waiting(settings)
    assert each.name == "e@1"
    names = {path.relative_to(each.folder).as_posix() for path in each.folder.rglob("*") if path.is_file()}
    assert {"experiment.json", "config/flags.json", "metrics/metrics.jsonl", "tracking.json"} <= names
    assert not any(name.startswith(("embeddings/", "ckpts/")) for name in names)
    before = (each.folder / "metrics/metrics.jsonl").read_bytes()
    with directory.metrics.open("ab") as stream:
        stream.write(b"{}\n")
    assert (each.folder / "metrics/metrics.jsonl").read_bytes() == before


def test_the_trackers_are_those_of_the_node_and_of_the_flag(settings: Settings, unsent: None) -> None:
    directory = ended(settings, "e", "tensorboard")
    assert list(waiting(settings)[0].note()) == ["tensorboard"]
    assert offer_to_trackers(
        replace(settings, track=("mlflow",)), directory, 2, RunFlags(track=("tensorboard",))
    )
    assert sorted(waiting(settings)[-1].note()) == ["mlflow", "tensorboard"]
    ended(settings, "quiet")
    assert {each.name for each in waiting(settings)} == {"e@1", "e@2"}


@pytest.mark.parametrize("text", ["mlflow,wandb", " mlflow , wandb "])
def test_the_setting_is_a_list_of_names(tmp_path: Path, text: str) -> None:
    assert load_settings({"PROTEINX_TRACK": text}, tmp_path).track == ("mlflow", "wandb")
    with pytest.raises(SettingsError, match="some of mlflow, wandb, tensorboard"):
        load_settings({"PROTEINX_TRACK": "mlfow"}, tmp_path)


def test_one_sender_at_a_time_and_a_dead_ones_claim_is_taken_over(settings: Settings, unsent: None) -> None:
    ended(settings, "e", "tensorboard")
    (each,) = waiting(settings)
    with each.claimed(60) as first, each.claimed(60) as second:
        assert (first, second) == (True, False)
    with each.claimed(60) as first, each.claimed(-1) as second:
        assert (first, second) == (True, True)


def test_tensorboard_has_every_value(settings: Settings, unsent: None) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    ended(settings, "e", "tensorboard")
    (each,) = waiting(settings)
    run = TrackedRun(each.folder)
    expected = {value.name for value in run.values()} | {f"summary/{name}" for name in run.summary}
    summary = dict(run.summary)
    assert tell_all(settings) == {"told": 1, "failed": 0}
    assert waiting(settings) == []
    found = EventAccumulator(str(settings.workdir / "tensorboard" / "e@1"))
    found.Reload()
    assert set(found.Tags()["scalars"]) == expected
    assert "summary/test/spearman" in expected
    for name, value in summary.items():
        assert found.Scalars(f"summary/{name}")[0].value == pytest.approx(value)


@contextmanager
def hanging_server() -> Iterator[tuple[str, list[Any]]]:
    """A server that takes connections and never answers; with what connected."""
    connections: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connections.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", connections
        finally:
            for connection in connections:
                connection.close()


def test_a_server_that_hangs_is_not_in_the_way_of_the_result(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, started: list["subprocess.Popen[bytes]"]
) -> None:
    """The process that tells still waits for the server when the experiment has ended with the same bytes."""
    alone = ended(settings, "alone")
    with hanging_server() as (address, _connections):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        found = ended(settings, "tracked", "mlflow")
        assert found.predictions.read_bytes() == alone.predictions.read_bytes()
        assert [each.name for each in waiting(settings)] == ["tracked@1"]
        assert len(started) == 1


def test_a_server_that_refuses_is_tried_again_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, unsent: None
) -> None:
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    ended(settings, "e", "mlflow")
    assert is_due(settings)
    assert tell_all(settings) == {"told": 0, "failed": 1}
    (each,) = waiting(settings)
    facts = each.note()["mlflow"]
    assert facts["tries"] >= 1
    assert facts["next_at"] > time.time()
    assert "127.0.0.1" in facts["error"]
    assert not is_due(settings)
    assert tell_all(settings) == {"told": 0, "failed": 0}
    result = CliRunner().invoke(
        main, ["track", "--json"], env={"PROTEINX_WORKDIR": str(settings.workdir)}, catch_exceptions=False
    )
    assert result.exit_code == 1
    assert json.loads(result.output)["waiting"]["e@1"]["mlflow"]["tries"] > facts["tries"]


def check_mlflow(settings: Settings) -> None:
    """Everything of an experiment is in MLflow once, after two tries."""
    from mlflow import MlflowClient

    ended(settings, "e", "mlflow")
    (each,) = waiting(settings)
    expected = TrackedRun(each.folder)
    parameters, summary = dict(expected.parameters), dict(expected.summary)
    sending.to_mlflow.send(expected)  # as a process that was killed before it took the note off
    assert tell_all(settings) == {"told": 1, "failed": 0}, each.note()
    client = MlflowClient()
    experiment = client.get_experiment_by_name("proteinx")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == parameters
    assert run.data.metrics["test/spearman"] == pytest.approx(summary["test/spearman"])
    assert run.data.tags["proteinx.experiment_id"] == "e"
    assert "report.json" in {
        Path(file.path).name for file in client.list_artifacts(run.info.run_id, "artifacts")
    }
    version = client.get_model_version_by_alias("proteinx-TOY-ridge", ALIAS)
    assert version.run_id == run.info.run_id
    assert len(client.search_model_versions("name = 'proteinx-TOY-ridge'")) == 1
    ended(settings, "second", "mlflow")
    tell_all(settings)
    assert client.get_model_version_by_alias("proteinx-TOY-ridge", ALIAS).version != version.version


@pytest.mark.slow
def test_mlflow_has_parameters_metrics_files_and_a_model_with_an_alias(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsent: None
) -> None:
    pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_mlflow(settings)


SERVER = "TEST_MLFLOW"
PROGRAM = os.environ.get(SERVER, "")
"""Read now: a test sees no variable that leads out of it."""
HOW = (
    "there is no MLflow server (it has other versions than we): python -m venv /tmp/mlflow && "
    f"/tmp/mlflow/bin/pip install mlflow==3.17.2 && {SERVER}=/tmp/mlflow/bin/mlflow make slow"
)


@pytest.mark.slow
@pytest.mark.skipif(not PROGRAM, reason=HOW)
def test_a_real_mlflow_server_has_it_too(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsent: None
) -> None:
    port = free_port()
    command = [
        PROGRAM, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}",
        "--artifacts-destination", str(tmp_path / "files"),
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:  # fmt: skip
        try:
            ends_at = time.monotonic() + 120
            while time.monotonic() < ends_at:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.5)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            check_mlflow(settings)
        finally:
            os.killpg(server.pid, 9)


@pytest.mark.slow
def test_wandb_has_it_offline(settings: Settings, monkeypatch: pytest.MonkeyPatch, unsent: None) -> None:
    pytest.importorskip("wandb", reason="not installed: pip install -c constraints.txt wandb (12 s of CPU)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    ended(settings, "e", "wandb")
    assert tell_all(settings) == {"told": 1, "failed": 0}, waiting(settings)[0].note()
    (log,) = (settings.workdir / "wandb").rglob("*.wandb")
    content = log.read_bytes()
    assert b"test/spearman" in content
    assert b"proteinx-TOY-ridge" in content


def test_what_is_missing_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch, unsent: None) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    ended(settings, "e", "mlflow", "wandb")
    assert tell_all(settings) == {"told": 0, "failed": 2}
    errors = {name: facts["error"] for name, facts in waiting(settings)[0].note().items()}
    assert "proteinx-infra[mlflow]" in errors["mlflow"]
    assert "proteinx-infra[wandb]" in errors["wandb"]
