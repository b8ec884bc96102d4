"""The index of `experiment.json` names every file: once, 13 of 39 were missing, checkpoints and logs among them."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.execution.document import write_document
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment_dir import index
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.index import file_names, index_of
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pipeline.entries import PipelineFile
from proteinx_pipelines.settings import Settings

NETWORK: dict[str, Any] = {
    "data": {"source": "TOY"},
    "split": {"method": "random"},
    "model": {"name": "mlp", "hidden_dims": [4]},
    "train": {"max_epochs": 1, "logger": ["csv"], "export_pt": True},
    "trainer": {"accelerator": "cpu"},
    "evaluate": {"bootstrap": 10},
}


def walked(directory: ExperimentDir) -> dict[str, dict[str, Any]]:
    """Files found by a walk without code of ours."""
    found = {}
    for folder, _, names in os.walk(directory.root):
        for name in names:
            path = Path(folder) / name
            content = path.read_bytes()
            fact = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            found[path.relative_to(directory.root).as_posix()] = fact
    return found


def test_the_index_is_what_lies_there(settings: Settings) -> None:
    directory = run_local_experiment(settings, "e", parse_flags(NETWORK)).directory
    files = walked(directory)
    assert {name.split("/")[0] for name in files} >= {
        "ckpts",
        "metrics",
        "logs",
        "config",
        "splits",
        "artifacts",
    }
    assert len(files) >= 35
    files.pop("experiment.json")
    assert read_json(directory.document)["artifacts"] == files
    again = {**NETWORK, "evaluate": {"bootstrap": 20}}
    run_local_experiment(
        settings, "e", parse_flags(again)
    )  # a second generation, with the first one's files beside it
    files = walked(directory)
    assert any(name.startswith("generations/1/") for name in files)
    files.pop("experiment.json")
    assert read_json(directory.document)["artifacts"] == files


def test_one_that_failed_has_its_log_in_the_index_to_the_last_line(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("proteinx_pipelines.stages.transform.tasks.transformed", broken)
    with pytest.raises(ZeroDivisionError):
        run_local_experiment(settings, "e", parse_flags(NETWORK))
    directory = ExperimentDir(settings.experiments_dir, "e")
    files = walked(directory)
    files.pop("experiment.json")
    assert read_json(directory.document)["artifacts"] == files


def write(directory: ExperimentDir) -> None:
    write_document(directory, generation=1, attempt=1, status="RUNNING", flags={}, pipeline=PipelineFile())


def test_what_has_not_changed_is_not_read_again_and_what_has_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = ExperimentDir(tmp_path, "e")
    directory.checkpoints_dir.mkdir(parents=True)
    large, small = directory.checkpoints_dir / "a.ckpt", directory.checkpoints_dir / "b.ckpt"
    for path in (large, small):
        path.write_text("one")
        os.utime(path, (time.time() - 60, time.time() - 60))
    write(directory)
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(index, "file_sha256", counted)
    small.write_text("two")  # of the same size
    write(directory)
    assert read == ["b.ckpt"]
    files = walked(directory)
    files.pop("experiment.json")
    assert read_json(directory.document)["artifacts"] == files


def test_links_and_what_is_being_written_are_in_no_index(tmp_path: Path) -> None:
    directory = ExperimentDir(tmp_path, "e")
    (directory.root / ".train-x").mkdir(parents=True)
    (directory.root / ".train-x" / "spec.json").write_text("{}")
    (directory.root / ".flags.json-a.partial").write_text("{")
    (directory.root / "real").write_text("x")
    (directory.root / "link").symlink_to("/etc/hostname")
    assert list(file_names(directory)) == ["real"]
    assert list(index_of(directory, {})) == ["real"]


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    directory = ExperimentDir(tmp_path, "e")
    directory.root.mkdir()
    (directory.root / "a").write_text("x")
    directory.document.write_text("[]")
    assert list(index_of(directory, {})) == ["a"]
