"""`pipeline.json` and the store's entries are read as untrusted data: no name in them leads outside."""

from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline, write_pipeline
from proteinx_pipelines.node.lifecycle.service_ports import NodePlanner
from proteinx_pipelines.pipeline.entries import NO_KEY, PipelineFile
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.execution.test_store import KEY, make_directory
from proteinx_pipelines_tests.vanishing import vanishing


def test_what_goes_between_a_listing_and_a_look_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan and the list of rounds ended with a trace while somebody removed an experiment or a campaign."""
    settings = load_settings({"PROTEINX_WORKDIR": str(tmp_path)}, tmp_path)
    for name in ("a", "b"):
        directory, entry = make_directory(tmp_path, name)
        write_pipeline(directory.pipeline, PipelineFile(1).with_stage("split", entry))
        write_json(CampaignDir(tmp_path / "campaigns", name).document, {})
    assert len(list(NodePlanner(settings).past_stages())) == 2
    for going in (directory.pipeline, CampaignDir(tmp_path / "campaigns", "b").document):
        vanishing(monkeypatch, going)
    assert len(list(NodePlanner(settings).past_stages())) == 1
    CampaignDir.known_ids(tmp_path / "campaigns")
    assert CampaignDir.known_ids(tmp_path / "campaigns") == ["a"]


@pytest.mark.parametrize("key", [KEY, NO_KEY])
def test_what_a_node_writes_is_read_back(tmp_path: Path, key: str) -> None:
    _, entry = make_directory(tmp_path, "a")
    written = PipelineFile(3).with_stage("split", type(entry)(**{**vars(entry), "key": key}))
    write_pipeline(tmp_path / "pipeline.json", written)
    assert read_pipeline(tmp_path / "pipeline.json") == written


FACT = {"size": 1, "sha256": "0" * 64}
FORGED: list[dict[str, Any]] = [
    *({"files": {name: FACT}} for name in ("../../state.db", "/etc/x", "a/../../x", "C:\\x", "a\\..\\x", ".", "")),
    *({"key": key} for key in ("../../../x", "..", "5E" * 32, "5e" * 31, "5e" * 32 + "/x", 7, None)),
]  # fmt: skip


@pytest.mark.parametrize("change", FORGED, ids=str)
def test_a_file_or_a_key_that_could_lie_outside_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """A restored archive named `../../state.db`: publishing that stage again would have deleted it."""
    directory, entry = make_directory(tmp_path, "a")
    write_pipeline(directory.pipeline, PipelineFile(1).with_stage("split", entry))
    document = read_json(directory.pipeline)
    document["stages"]["split"].update(change)
    write_json(directory.pipeline, document)
    with pytest.raises(ValueError, match=r"pipeline\.json is not as a node writes it"):
        read_pipeline(directory.pipeline)


def test_a_stage_that_there_is_not_is_refused(tmp_path: Path) -> None:
    directory, entry = make_directory(tmp_path, "a")
    write_pipeline(directory.pipeline, PipelineFile(1).with_stage("split", entry))
    document = read_json(directory.pipeline)
    document["stages"]["../../split"] = document["stages"]["split"]
    write_json(directory.pipeline, document)
    with pytest.raises(ValueError, match=r"a stage '\.\./\.\./split'"):
        read_pipeline(directory.pipeline)


@pytest.mark.parametrize("change", FORGED, ids=str)
def test_a_stored_entry_that_names_such_a_file_is_not_there(tmp_path: Path, change: dict[str, Any]) -> None:
    directory, entry = make_directory(tmp_path, "a")
    store = StageStore(tmp_path / "store")
    store.put("split", entry, directory)
    (path,) = store.root.rglob("entry.json")
    write_json(path, {**read_json(path), **change})
    assert store.lookup("split", KEY) is None
