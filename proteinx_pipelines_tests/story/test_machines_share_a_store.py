"""Two nodes, one Redis, one S3 server: the second, with an empty disk, computes nothing that the first has computed.

Data, weights and split file are referred to by digest: no file is copied by hand to either node.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from proteinx_pipelines.errors import UnknownExperiment
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.opening import open_blobs
from proteinx_pipelines.files.shared.experiments import get_files, sent_document
from proteinx_pipelines.files.shared.pushing import push_file
from proteinx_pipelines_tests.execution.conftest import write_catalog
from proteinx_pipelines_tests.execution.test_sequences_are_embedded_once import weights  # noqa: F401  # a fixture
from proteinx_pipelines_tests.object_servers import ObjectServer, serve_s3
from proteinx_pipelines_tests.story.conftest import ANSWER_WITHIN_S, Node

pytestmark = pytest.mark.story


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[ObjectServer]:
    with serve_s3(tmp_path / "s3") as server:
        yield server


def node(folder: Path, url: str, server: ObjectServer) -> Node:
    folder.mkdir()
    named = {"REDIS_URL": url, "PROTEINX_STORE": server.url, "PROTEINX_NODE_NAME": folder.name}
    return Node(folder, {**named, **server.environment()})


def wait_for(what: Callable[[], Any], message: str) -> Any:
    ends_at = time.monotonic() + ANSWER_WITHIN_S
    while time.monotonic() < ends_at:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(message)


def embedding_of(machine: Node, experiment_id: str) -> dict[str, Any]:
    text = (machine.experiment(experiment_id) / "config" / "pipeline.json").read_text()
    return dict(json.loads(text)["stages"]["embedding"])


def sent(blobs: BlobStore, experiment_id: str) -> Any:
    try:
        return sent_document(blobs, experiment_id)
    except UnknownExperiment:
        return None


def test_a_node_with_an_empty_disk_computes_nothing_that_another_has_computed(
    tmp_path: Path,
    s3: ObjectServer,
    redis_url: str,
    weights: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    blobs, master = open_blobs(s3.url), redis.Redis.from_url(redis_url, socket_timeout=ANSWER_WITHIN_S + 10)
    master.flushdb()
    write_catalog(tmp_path / "toy.db", n_singles=40, n_doubles=8)
    payload, checkpoint = push_file(blobs, tmp_path / "toy.db"), push_file(blobs, weights)

    def run(experiment_id: str, **changes: Any) -> dict[str, Any]:
        flags = {
            "data.source": "TOY", "embedding.name": "esm2_t6_8M_UR50D", "embedding.layer": 1,
            "embedding.weights": checkpoint, "embedding.tokens_per_batch": 300,
            "evaluate.bootstrap": 0, "evaluate.plots": False, **changes,
        }  # fmt: skip
        master.lpush(
            "experiments",
            json.dumps({"experiment_id": experiment_id, "flags": flags, "payload_ref": payload}),
        )
        found = master.brpop(["experiments:results"], timeout=int(ANSWER_WITHIN_S))
        assert found is not None, "no result came"
        result = dict(json.loads(found[1]))
        assert (result["experiment_id"], result["status"]) == (experiment_id, "SUCCEEDED"), result
        return result

    first = node(tmp_path / "first", redis_url, s3)
    first.start()
    try:
        assert run("one", **{"run.shards": 2})["stages"]["embedding"] == "computed"
        forwards = embedding_of(first, "one")["details"]["sequences_computed"]
        assert forwards == 48
        document = wait_for(lambda: sent(blobs, "one"), "the first experiment was not sent")
        fetched = set(get_files(blobs, document, tmp_path / "fetched"))
        assert {"artifacts/report.json", "artifacts/predictions.parquet"} < fetched
        wait_for(lambda: list(blobs.names("sequences")), "the vectors were not sent")
        wait_for(lambda: not list((first.workdir / "outgoing" / "stages").iterdir()), "stages were not sent")
    finally:
        first.stop()

    second = node(tmp_path / "second", redis_url, s3)  # another machine; or the same one, with a new disk
    second.start()
    try:
        # A changed split: the stages before it are taken over, and no checkpoint is fetched for that.
        stages = run("two", **{"split.seed": 7})["stages"]
        assert stages == {
            "selection": "computed", "transform": "taken", "embedding": "taken", "split": "computed",
            "train": "computed", "evaluate": "computed",
        }  # fmt: skip
        theirs, ours = embedding_of(first, "one"), embedding_of(second, "two")
        assert ours["files"] == theirs["files"]
        for name, fact in ours["files"].items():
            assert file_sha256(second.experiment("two") / name) == fact["sha256"]
        assert not (second.workdir / "fetched" / f"sha256-{checkpoint.rpartition('/')[2]}").exists()

        # Other rows: the stage is another one, and each of its sequences was embedded by the first node.
        assert run("three", **{"data.mut_num": {"max": 1}})["stages"]["embedding"] == "computed"
        details = embedding_of(second, "three")["details"]
        assert (details["sequences_computed"], details["sequences_reused"]) == (0, 40)

        # The server stops answering: experiments go on, and what waits is sent when it answers again.
        s3.pause()
        try:
            assert (
                run("four", **{"data.mut_num": {"max": 1}, "model.alpha": 3.0})["stages"]["train"]
                == "computed"
            )
        finally:
            s3.go_on()
        wait_for(lambda: sent(blobs, "four"), "what waited was not sent when the store came back")
        stored = {path.name: path for path in (s3.folder / "objects").iterdir() if len(path.name) == 64}
        assert all(hashlib.sha256(path.read_bytes()).hexdigest() == name for name, path in stored.items())
    finally:
        second.stop()
