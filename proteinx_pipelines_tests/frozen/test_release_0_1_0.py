"""Everything that release 0.1.0 wrote is still read: see `release_0_1_0/README.md` for what was recorded."""

import json
import shutil
from pathlib import Path

import pytest

from proteinx_pipelines import open_experiment
from proteinx_pipelines.contract.base import Document
from proteinx_pipelines.contract.event import Event, JournalEvent, MetricLine
from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.contract.failure import FailureBundle
from proteinx_pipelines.contract.heartbeat import GpuUsage, Heartbeat
from proteinx_pipelines.contract.keys import NodeKeys, QueueKeys
from proteinx_pipelines.contract.pipeline import PipelineDocument
from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.contract.request import parse_message
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.experiment_dir.archive import unpack
from proteinx_pipelines.experiment_dir.pipeline_file import read_pipeline
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.stages import always_made

STAGES = always_made()

RELEASE = Path(__file__).parent / "release_0_1_0"
EXPERIMENTS = sorted(path.name for path in (RELEASE / "experiments").iterdir())
ONE_EACH: dict[str, type[Document]] = {
    "messages/result.*.json": ResultMessage,
    "messages/heartbeat.*.json": Heartbeat,
    "messages/gpu_usage.json": GpuUsage,
    "experiments/**/experiment.json": ExperimentDocument,
    "experiments/**/pipeline.json": PipelineDocument,
    "experiments/**/report.json": Report,
    "failures/*.json": FailureBundle,
}
"""Files that are one document."""
ONE_A_LINE: dict[str, type[Document]] = {
    "messages/events.jsonl": Event,
    "experiments/**/events/*.jsonl": JournalEvent,
    "experiments/**/metrics.jsonl": MetricLine,
}
"""Files that are a document a line."""


def recorded() -> list[tuple[str, type[Document], str]]:
    """Every recorded document: where it stands, its model, its text."""
    found = []
    for pattern, model in (*ONE_EACH.items(), *ONE_A_LINE.items()):
        paths = sorted(RELEASE.glob(pattern))
        assert paths, pattern
        for path in paths:
            text = path.read_text(encoding="utf-8")
            texts = text.splitlines() if pattern in ONE_A_LINE else [text]
            name = path.relative_to(RELEASE).as_posix()
            found += [(f"{name}:{number}", model, line) for number, line in enumerate(texts, start=1)]
    return found


def results() -> list[dict]:
    """The results as they were delivered."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in RELEASE.glob("messages/result.*.json")]


def lost(before: object, after: object, where: str) -> list[str]:
    """What a document had and its model gives back otherwise, by its place; numbers may become 1.0 from 1."""
    if isinstance(before, dict) and isinstance(after, dict):
        gone = [f"{where}.{name}" for name in before if name not in after]
        return gone + [
            each
            for name in before
            if name in after
            for each in lost(before[name], after[name], f"{where}.{name}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            each
            for number, pair in enumerate(zip(before, after, strict=True))
            for each in lost(*pair, f"{where}[{number}]")
        ]
    return [] if before == after else [where]


def test_its_documents_are_read_and_nothing_of_them_is_lost():
    found = recorded()
    assert len(found) > 300
    for name, model, text in found:
        read = model.model_validate_json(text).document()
        assert lost(json.loads(text), read, name) == []


def test_its_status_hashes_are_read():
    for path in RELEASE.glob("messages/status.*.json"):
        fields = json.loads(path.read_text(encoding="utf-8"))
        status = Status.from_hash({name.encode(): value.encode() for name, value in fields.items()})
        assert status.is_final == (fields["state"] in ("SUCCEEDED", "FAILED", "CANCELLED"))
        assert status.node == "node-1"
        assert status.generation == int(fields["generation"])


def test_its_requests_are_read_and_the_same_ones_refused():
    refused = {result["message_id"] for result in results() if result["status"] == "REJECTED"}
    lines = (RELEASE / "messages" / "requests.jsonl").read_bytes().splitlines()
    for line in lines:
        sent = json.loads(line)
        if sent.get("message_id") in refused - {None}:
            with pytest.raises(MessageError, match=r"`train\.lr`.*\n.*learnin_rate"):
                parse_message(line)
        else:
            request = parse_message(line)
            assert (request.experiment_id, request.message_id) == (
                sent["experiment_id"],
                sent.get("message_id"),
            )
    assert len(lines) == 10


def test_its_keys_have_the_same_names():
    kept = (RELEASE / "messages" / "keys.txt").read_text(encoding="utf-8").split()
    keys, node = QueueKeys(), NodeKeys("node-1")
    known = {
        keys.delivered,
        *(keys.status(name) for name in (*EXPERIMENTS, "gb1-taken", "gb1-waiting")),
        *node.all(),
    }
    assert set(kept) <= known


def test_its_state_is_migrated_and_answers_as_before(tmp_path):
    shutil.copy(RELEASE / "state.db", tmp_path)
    state = Ledger(tmp_path / "state.db")
    for result in results():
        if result["status"] == "REJECTED":
            continue
        current = state.generation(result["experiment_id"], result["generation"])
        assert current is not None
        assert (current.state, current.result_id) == (result["status"], result["result_id"])
        assert current.summary == result["summary"]
    assert state.undelivered() == []


@pytest.mark.parametrize("experiment_id", EXPERIMENTS)
def test_its_experiments_are_opened(experiment_id):
    experiment = open_experiment(RELEASE / "experiments" / experiment_id)
    assert experiment.id == experiment_id
    assert experiment.status in ("SUCCEEDED", "FAILED", "CANCELLED")
    assert experiment.flags.data.source == (
        "GB1_Nisthal_2019",
    )  # also where a metric is a plugin's that is not here
    assert repr(experiment)
    if experiment.status == "SUCCEEDED":
        assert set(read_pipeline(experiment.directory.pipeline).stages) == set(STAGES)
        assert experiment.summary["test/spearman"] == experiment.document["summary"]["test/spearman"]


def test_its_archive_is_restored_and_every_record_in_it_read(tmp_path):
    manifest = unpack(RELEASE / "archive" / "gb1-archived.tar", tmp_path / "gb1-archived")
    experiment = open_experiment(tmp_path / manifest["experiment_id"])
    assert len(experiment.variants) == experiment.variant_table.n_variants == 60
    assert experiment.embedding.n_variants == len(experiment.predictions) == 60
    assert len(experiment.split.folds) == len(experiment.models) == 3
    assert experiment.summary == experiment.document["summary"]
