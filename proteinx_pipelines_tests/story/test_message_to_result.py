"""From a message that any Redis client pushes to the document it pops, through the whole real node.

The strong forms: more than 600 bad messages in `chaos/test_hostile`, a cancelled training in `chaos/test_stops`, FLIP's
protocol at its full length in `proteinx bench flip-gb1`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines_tests.conftest import SHARED_DATA
from proteinx_pipelines_tests.example_plugin import install
from proteinx_pipelines_tests.story.conftest import Node
from proteinx_pipelines_tests.waiting import wait_until

pytestmark = pytest.mark.story
SOURCE = "GB1_Nisthal_2019"
STAGES = ["selection", "transform", "embedding", "split", "train", "evaluate"]
DIRECTORY = {
    "experiment.json", "config/flags.json", "config/data_query.json", "config/pipeline.json", "data/selected.parquet",
    "data/transform/variants.parquet", "embeddings/embeddings.safetensors", "embeddings/ids.parquet",
    "splits/train_ids.json", "splits/val_ids.json", "splits/test_ids.json", "logs/train.log", "metrics/metrics.jsonl",
    "artifacts/predictions.parquet", "artifacts/report.html", "artifacts/report.json",
    "artifacts/model/fold_0/model.json", "artifacts/model/fold_0/model.safetensors",
}  # fmt: skip


@pytest.fixture(scope="module")
def node(start_node: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Node:
    roots = {"PROTEINX_DATA_ROOTS": str(SHARED_DATA)} if SHARED_DATA.is_dir() else {}
    plugins = str(install(tmp_path_factory.mktemp("plugins")))
    return start_node(PROTEINX_NODE_NAME="story", PYTHONPATH=plugins, **roots)


def flags(**more: Any) -> dict[str, Any]:
    return {"data": {"source": SOURCE}, "evaluate": {"bootstrap": 20}, **more}


def where(column: str, value: Any) -> dict[str, Any]:
    return {"data": {"source": SOURCE, "where": [{"column": column, "op": "=", "value": value}]}}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_ino, path.stat().st_mtime_ns)
        for part in ("data", "embeddings")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }


def test_a_message_becomes_a_result_and_a_directory(node: Node) -> None:
    result = node.run("gb1-001", flags(run={"resume": False}), message_id="m-1")
    assert ResultMessage.model_validate_json(json.dumps(result)).status == "SUCCEEDED"
    assert result["stages"] == dict.fromkeys(STAGES, "computed")
    assert (result["generation"], result["attempt"], result["message_id"]) == (1, 1, "m-1")
    assert result["summary"]["test/spearman"] > 0.4
    assert result["artifacts"]["directory"] == "experiments/gb1-001"
    folder = node.experiment("gb1-001")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there >= DIRECTORY
    document = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    assert document["status"] == "SUCCEEDED"
    assert set(document["artifacts"]) >= {"artifacts/report.html", "data/selected.parquet"}
    assert not list(node.workdir.glob("staging/*/gb1-001"))
    assert set(document["artifacts"]) == there - {"experiment.json"}
    logged = (folder / "logs" / "train.log").read_text(encoding="utf-8")
    assert all(f"INFO {stage} " in logged for stage in STAGES), logged


def test_the_same_message_again_is_answered_with_the_stored_result(node: Node) -> None:
    first = node.run("gb1-again", flags(), message_id="m-2")
    second = node.run("gb1-again", flags(), message_id="m-2")
    assert first == second


def test_a_changed_flag_makes_a_run_of_exactly_the_stages_it_touches(node: Node) -> None:
    """The promise users remember, seen in Dagster's own run and on the files of the other stages."""
    mlp = {
        "model": {"name": "mlp", "hidden_dims": [8]},
        "train": {"max_epochs": 2},
        "run": {"allow_duplicate": True},
    }
    node.run("gb1-re", flags(**mlp))
    before = stamps(node.experiment("gb1-re"))

    changed = flags(**mlp, split={"method": "modulo"})
    result = node.run("gb1-re", changed)
    assert node.steps_of_last_run() == ["split", "train", "evaluate"]
    assert [name for name in STAGES if result["stages"][name] == "computed"] == ["split", "train", "evaluate"]
    assert stamps(node.experiment("gb1-re")) == before
    assert result["generation"] == 2
    assert (node.experiment("gb1-re") / "generations" / "1" / "artifacts" / "report.html").is_file()

    changed["train"] = {"max_epochs": 2, "lr": 0.01}
    node.run("gb1-re", changed)
    assert node.steps_of_last_run() == ["train", "evaluate"]

    changed["evaluate"] = {"bootstrap": 10}
    node.run("gb1-re", changed)
    assert node.steps_of_last_run() == ["evaluate"]

    unchanged = node.run("gb1-re", changed, message_id="nothing changed")
    assert unchanged["stages"] == dict.fromkeys(STAGES, "reused")
    assert unchanged["generation"] == 5
    assert node.steps_of_last_run() == ["evaluate"]  # no run was made


def test_models_of_another_distribution_are_trained_or_refused_by_their_own_flags(node: Node) -> None:
    """Known to the node by metadata alone; the network's and the model's code runs in the step worker."""
    network = flags(model={"name": "narrow"}, train={"max_epochs": 2}, ext={"model": {"units": 4}})
    model = flags(
        model={"name": "column_mean"}, split={"method": "plugin:every_nth"}, ext={"split": {"n": 3}}
    )
    for name, asked in (("own-network", network), ("own-model", model)):
        result = node.run(name, asked)
        assert result["status"] == "SUCCEEDED", result["error"]
        written = json.loads(
            (node.experiment(name) / "artifacts/model/fold_0/model.json").read_text(encoding="utf-8")
        )
        assert written["settings"]["plugin"] == {"name": asked["model"]["name"], "version": "1.0.0"}
    refused = node.run("own-refused", {**network, "ext": {"model": {"units": 0, "depth": 2}}})
    assert refused["status"] == "REJECTED"
    assert "`ext.model.units`" in refused["error"]["message"]
    assert (
        "`ext.model.depth`: `model.name` 'narrow' has no such flag; it has lr, units"
        in refused["error"]["message"]
    )
    again = node.run("own-model", {**model, "ext": {"split": {"n": 4}}, "run": {"allow_duplicate": True}})
    assert [name for name in STAGES if again["stages"][name] == "computed"] == ["split", "train", "evaluate"]


def test_a_new_id_takes_over_what_another_experiment_computed(node: Node) -> None:
    node.run("gb1-first", flags(split={"seed": 11}))
    result = node.run("gb1-second", flags(split={"seed": 12}))
    taken = ["selection", "transform", "embedding"]
    assert [name for name in STAGES if result["stages"][name] == "taken"] == taken
    assert node.steps_of_last_run() == ["split", "train", "evaluate"]


REFUSED: list[tuple[bytes | dict[str, Any], str]] = [
    (b"not json", "not_json"),
    (b"x" * 2_097_152, "too_large"),
    ({"flags": flags()}, "missing_field"),
    ({"experiment_id": "../../x", "flags": flags()}, "bad_id"),
    ({"experiment_id": "con", "flags": flags()}, "bad_id"),
    ({"experiment_id": "a" * 300, "flags": flags()}, "bad_id"),
    ({"experiment_id": "a\0b", "flags": flags()}, "bad_id"),
    (b'{"experiment_id": "a", "experiment_id": "b", "flags": {}}', "duplicate_key"),
    ({"experiment_id": "v", "flags": flags(), "schema_version": 2}, "bad_schema_version"),
    ({"experiment_id": "f1", "flags": flags(train={"learnin_rate": 1})}, "bad_flags"),
    ({"experiment_id": "f2", "flags": flags(train={"lr": "fast"})}, "bad_flags"),
    ({"experiment_id": "f3", "flags": flags(train={"lr": -1})}, "bad_flags"),
    (b'{"experiment_id": "f4", "flags": {"data": {"source": "x"}, "train": {"lr": NaN}}}', "bad_flags"),
    ({"experiment_id": "f5", "flags": where("x", 1)}, "bad_flags"),
    (
        {"experiment_id": "p", "flags": flags(model={"name": "mlp"}, train={"ckpt_path": "/etc/passwd"})},
        "path_not_allowed",
    ),
]  # fmt: skip
"""Messages that are refused before anything runs, and the code of each."""


def runs_behind(result: dict[str, Any], experiment_id: str) -> bool:
    """True if an experiment was executed: one whose stages are all taken from another one makes no run."""
    return (result["experiment_id"], result["status"], result["stages"]["train"]) == (
        experiment_id, "SUCCEEDED", "computed",
    )  # fmt: skip


def test_bad_messages_are_answered_in_order_and_the_one_behind_them_runs(node: Node) -> None:
    for message, _ in REFUSED:
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        node.redis.lpush("experiments", raw)
    node.push("behind-refused", flags(split={"seed": 30}))
    answers = [node.pop() for _ in REFUSED]
    assert [answer["status"] for answer in answers] == ["REJECTED"] * len(REFUSED)
    assert [answer["error"]["code"] for answer in answers] == [code for _, code in REFUSED]
    assert all(len(answer["error"]["message"]) > 20 for answer in answers)
    assert runs_behind(node.pop(), "behind-refused")


@pytest.mark.parametrize(
    ("name", "bad", "code"),
    [
        ("s1", where("mutant", "' OR 1=1 --"), "empty_selection"),
        ("s2", {"data": {"source": "NO_SUCH"}}, "unknown_source"),
        ("s3", {"data": {"source": SOURCE, "dms_score": {"min": 1e9}}}, "empty_selection"),
        ("s4", flags(split={"method": "n_vs_rest", "n": 99}), "empty_split"),
        ("s5", flags(embedding={"name": "esm2_t6_8M_UR50D"}), "missing_weights"),
    ],
)
def test_an_experiment_that_fails_is_answered_and_the_one_behind_it_runs(
    node: Node, name: str, bad: dict[str, Any], code: str
) -> None:
    node.push(name, bad)
    node.push(f"behind-{name}", flags(split={"seed": 30 + int(name[1:])}))
    answer = node.pop()
    assert (answer["experiment_id"], answer["status"], answer["error"]["code"]) == (name, "FAILED", code)
    assert len(answer["error"]["message"]) > 20
    assert runs_behind(node.pop(), f"behind-{name}")


def test_training_with_loader_processes_and_with_two_ddp_processes_works_inside_the_worker(
    node: Node,
) -> None:
    """Celery's child is daemonic, and Lightning's DDP re-executes the command line: both break naively."""
    mlp = {"name": "mlp", "hidden_dims": [8]}
    loaders = node.run("gb1-loaders", flags(model=mlp, train={"max_epochs": 1, "num_workers": 2}))
    assert (loaders["status"], loaders["error"]) == ("SUCCEEDED", None)
    trainer = {"accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    ddp = node.run("gb1-ddp", flags(model=mlp, train={"max_epochs": 1}, trainer=trainer))
    assert (ddp["status"], ddp["error"]) == ("SUCCEEDED", None)
    logged = (node.experiment("gb1-ddp") / "logs" / "train.log").read_text(encoding="utf-8")
    assert "INFO train proteinx_pipelines.stages.train.processes: rank 1 INFO lightning" in logged


def test_the_masters_page_sees_heartbeat_gpu_and_status(node: Node) -> None:
    client = node.redis
    node.run("gb1-status", flags())
    names = ("nodes/story/heartbeat", "nodes/story/gpu_usage")
    wait_until(lambda: client.exists(*names) == 2)  # a beat of a busy machine may be late
    (heartbeat, usage), left_s = client.pipeline().mget(names).ttl(names[0]).execute()
    assert json.loads(heartbeat)["state"] in ("idle", "busy")
    assert json.loads(usage)["gpus"] is not None
    assert 0 <= left_s <= 15
    status = {
        key.decode(): value.decode() for key, value in client.hgetall("experiments:status:gb1-status").items()
    }
    assert status["state"] == "SUCCEEDED"
    assert {"stage", "progress", "generation", "attempt", "position"} <= set(status)


PUBLISHED = {"one_vs_rest": 0.279, "two_vs_rest": 0.594, "three_vs_rest": 0.755}
"""Test Spearman of one-hot ridge, alpha 1.0, on FLIP's splits of GB1 (Dallago et al. 2021, traced values)."""


@pytest.mark.data
def test_one_hot_ridge_on_flips_gb1_is_within_0_005_of_the_published_values(
    node: Node, shared_data: Path
) -> None:
    """The last one here: it imports a file, and what was selected before is selected anew."""
    assays = shared_data / "assays"
    import_file(node.workdir / "database.db", assays / "GB1_FLIP_four_sites.csv.gz")
    found = {}
    for column in PUBLISHED:
        flip = {
            "data": {"source": "GB1_FLIP_four_sites"},
            "split": {"method": "file", "path": str(assays / "GB1_FLIP_splits.csv.gz"), "column": column},
            "model": {"name": "ridge", "alpha": 1.0},
            "evaluate": {"bootstrap": 0, "plots": False},
        }
        result = node.run(f"flip-{column}", flip)
        assert result["status"] == "SUCCEEDED", result["error"]
        found[column] = result["summary"]["test/spearman"]
    assert found == pytest.approx(PUBLISHED, abs=0.005)
