"""Examples of every document, as a node or a sender writes it."""

import json
from typing import Any

from proteinx_pipelines.contract.base import Document, ErrorFact, FileFact
from proteinx_pipelines.contract.campaign import CampaignDocument, MeasuredPlate, Plate, Round
from proteinx_pipelines.contract.capabilities import Capabilities, EmbedderCapability, GpuCapability
from proteinx_pipelines.contract.event import Counts, Event, JournalEvent, MetricLine
from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.contract.failure import FailureBundle, FailureReason, Transition
from proteinx_pipelines.contract.heartbeat import Gpu, GpuUsage, Heartbeat
from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.contract.pipeline import ComputedBy, PipelineDocument, StageDocument
from proteinx_pipelines.contract.report_example import report_example
from proteinx_pipelines.contract.request import SCHEMA_VERSION, parse_message
from proteinx_pipelines.contract.result import ResultMessage, rejection, result_id
from proteinx_pipelines.contract.shard import TrainingShard
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import MessageError

Json = dict[str, Any]

_RECEIVED, _STARTED = "2026-03-01T11:59:59.125+00:00", "2026-03-01T12:00:00.000+00:00"
_FINISHED = "2026-03-01T12:01:30.250+00:00"
_FLAGS: Json = {"data": {"source": ["GB1"]}, "model": {"name": "ridge", "alpha": 1.0}}
_SHA256 = "0" * 63 + "1"
_VERSIONS = {"python": "3.12.4", "proteinx-infra": "0.2.0", "numpy": "2.4.6"}


def examples() -> dict[str, Document]:
    """Documents by file name."""
    return {**_messages(), **_files(), "report": report_example()}


def _messages() -> dict[str, Document]:
    usage: Json = {
        "node": "node-1", "time": _STARTED, "cpu_percent": 12.5, "cpu_count": 16,
        "memory_used_bytes": 8_589_934_592, "memory_total_bytes": 137_438_953_472,
    }  # fmt: skip
    busy: Json = {
        "experiment_id": "gb1-002", "generation": 1, "stage": "train", "progress": 0.4, "note": "epoch 20/50",
        "last_progress_at": 1772366400.0,
    }  # fmt: skip
    gpu: Json = {"name": "NVIDIA A100-SXM4-80GB", "memory_total_bytes": 85_899_345_920}
    change = Status(
        state="RUNNING",
        stage="train",
        progress=0.7333,
        note="epoch 20/50",
        generation=1,
        attempt=1,
        position=0,
    )
    return {
        "heartbeat.idle": Heartbeat(**usage, state="idle", worker_pid=4242, experiments={"SUCCEEDED": 12}),
        "heartbeat.busy": Heartbeat(**usage, **busy, state="busy", worker_pid=4242, experiments={"RUNNING": 1}),
        "gpu_usage": GpuUsage(
            **usage, gpus=(Gpu(**gpu, index=0, utilization_percent=87, memory_used_bytes=21_474_836_480),)
        ),
        "capabilities": Capabilities(
            node="node-1", time=_STARTED, models=("ridge", "gp", "mlp"), metrics=("spearman", "lab_hit_rate"),
            embedders=(
                EmbedderCapability(name="onehot", weights="none"),
                EmbedderCapability(name="esm2_t6_8M_UR50D", weights="here"),
                EmbedderCapability(name="esm2_t33_650M_UR50D", weights="absent"),
            ),
            plugins=("module lab_metrics",), versions=_VERSIONS, cpu_count=16,
            memory_total_bytes=137_438_953_472, gpus=(GpuCapability(**gpu),), stores=("s3://bucket/proteinx",),
            labels=("a100",), meeting="10.0.0.7:29500",
        ),
        "lending": Lending(experiment_id="gb1-002", job_id="j-0123456789abcdef", address="10.0.0.7:29500"),
        "status": change.model_copy(update={"node": "node-1", "updated_at": _STARTED}),
        "event": Event(event="progress", experiment_id="gb1-002", timestamp=_STARTED, payload=change.changed()),
    }  # fmt: skip


def _files() -> dict[str, Document]:
    file = FileFact(size=5120, sha256=_SHA256)
    stage = StageDocument(
        key=_SHA256, version="3", flags={"data": {"source": ["GB1"]}}, inputs={"rows": _SHA256},
        digests={"all": _SHA256}, files={"data/selected.parquet": file}, action="computed",
        origin=ComputedBy(experiment_id="gb1-002", generation=1, finished_at=_STARTED), seconds=0.04,
    )  # fmt: skip
    return {
        "experiment": ExperimentDocument(
            experiment_id="gb1-002", generation=1, attempt=1, status="FAILED", created_at=_RECEIVED,
            updated_at=_FINISHED, flags=_FLAGS, stages={"selection": "computed"}, versions=_VERSIONS,
            error=ErrorFact(code="empty_split", message="A part of the split has no variants.", retryable=False),
            artifacts={"data/selected.parquet": file},
        ),
        "pipeline": PipelineDocument(generation=1, stages={"selection": stage}),
        "failure": FailureBundle(
            experiment_id="gb1-002", generation=1, attempt=1, written_at=_FINISHED, node="node-1", flags=_FLAGS,
            error=FailureReason(code="empty_split", message="A part of the split has no variants.", stage="split"),
            seeds={"split.seed": 0}, stages={"selection": "computed"}, versions=_VERSIONS,
            transitions=(Transition(experiment_id="gb1-002", generation=1, attempt=1, state="PENDING", at=_RECEIVED),),
            environment={"PROTEINX_WORKDIR": "/srv/proteinx"}, logs={"worker": []}, again="proteinx replay gb1-002",
        ),
        "campaign": CampaignDocument(
            campaign_id="gb1", created_at=_RECEIVED, first_source="GB1", flags=_FLAGS,
            rounds=[
                Round(
                    number=1, experiment_id="gb1-round-1", source="GB1", opened_at=_RECEIVED, via="queue",
                    plate=Plate(
                        name="round_1/plate.csv", fact=file, n_proposed=94, n_controls=2, proposed_at=_STARTED
                    ),
                    measured=MeasuredPlate(
                        name="round_1/measured.xlsx", given_as="results.xlsx", fact=file, source="gb1-plate-1",
                        n_rows=95, n_of_plate=93, n_missing=1, n_others=0, measured_at=_FINISHED,
                    ),
                ),
                Round(number=2, experiment_id="gb1-round-2", source="gb1-round-2", opened_at=_FINISHED, via="queue"),
            ],
        ),
        "job": JobDocument(
            job_id="j-3fa9c1d27b40e6a8", experiment_id="gb1-001", state="SUCCEEDED", node="node-1", source="GB1",
            model="ridge", flags=_FLAGS, summary={"test/spearman": 0.87}, generation=1, attempts=1,
            stage="evaluate", progress=1.0, created_by="lab-robot", created_at=_RECEIVED, started_at=_STARTED,
            finished_at=_FINISHED, updated_at=_FINISHED,
        ),
        "shard": TrainingShard(
            model="mlp", settings={"hidden_dims": [64]}, flags=_FLAGS, seed=7, where="fold 2",
            checkpoints_dir="staging/gb1-002/ckpts/fold_2", logs_dir="staging/gb1-002/logs", log_name="fold_2",
            alphabet="ACDEFGHIKLMNPQRSTVWY", rows_sha256=_SHA256, info={"name": "onehot"},
        ),
        "journal_event": JournalEvent(
            event="stage_finished", stage="split", timestamp=_STARTED, payload={"action": "computed", "seconds": 0.1}
        ),
        "metric_line.value": MetricLine(
            name="val/spearman", value=0.81, step=400, epoch=20, fold=2, generation=1, attempt=1, time=_STARTED
        ),
        "metric_line.histogram": MetricLine(
            name="train/gradients", histogram=Counts(counts=(3, 1), edges=(-1.0, 0.0, 1.0)), step=400, fold=2,
            generation=1, attempt=1, time=_STARTED,
        ),
    }  # fmt: skip


def request_examples() -> dict[str, Json]:
    """Messages that a node accepts."""
    return {
        "minimal": {"experiment_id": "gb1-001", "flags": {"data": {"source": "GB1"}}},
        "full": {
            "experiment_id": "gb1-002",
            "flags": {
                "data": {"source": "GB1", "mut_num": {"max": 2}, "split": "random"},
                "embedding": {"name": "onehot"},
                "split.seed": 7,
                "model": {"name": "mlp", "hidden_dims": [128, 64]},
                "train": {"lr": 0.001, "max_epochs": 50, "target": "standardize"},
                "trainer.accelerator": "cpu",
                "evaluate": {"metrics": ["spearman", "ndcg"], "bootstrap": 200},
                "run": {"timeout_s": 3600, "allow_duplicate": True},
                "ext": {"project": "thermostability"},
            },
            "payload_ref": None,
            "message_id": "3f0c1c6e-gb1-002-a",
            "priority": 0,
            "reply_to": "notebook-7",
            "schema_version": SCHEMA_VERSION,
        },
    }


def result_examples() -> dict[str, Json]:
    """Results as a node sends them, one per status."""
    common: Json = {
        "message_id": "3f0c1c6e-gb1-002-a", "experiment_id": "gb1-002", "attempt": 1,
        "started_at": _STARTED, "finished_at": _FINISHED, "node": "node-1",
    }  # fmt: skip
    files = ("artifacts/predictions.parquet", "artifacts/report.html", "experiment.json")
    succeeded: Json = {
        "status": "SUCCEEDED",
        "summary": {"test/spearman": 0.84, "test/ndcg": 0.93},
        "artifacts": {"directory": "experiments/gb1-002", "files": files},
        "stages": {
            "selection": "reused", "transform": "reused", "embedding": "taken",
            "split": "computed", "train": "computed", "evaluate": "computed",
        },
    }  # fmt: skip
    empty = {"code": "empty_selection", "message": "No variant matches the query.", "retryable": False}
    cancelled = {"code": "cancelled", "message": "The experiment was cancelled.", "retryable": False}
    return {
        "succeeded": _result(1, common, succeeded),
        "failed": _result(2, common, {"status": "FAILED", "error": empty}),
        "cancelled": _result(3, common, {"status": "CANCELLED", "error": cancelled}),
        "rejected": _rejected_example(),
    }


def _result(generation: int, *parts: Json) -> Json:
    identity = result_id("gb1-002", generation, received_at=_RECEIVED, node="node-1")
    merged: Json = {"result_id": identity, "generation": generation}
    for part in parts:
        merged.update(part)
    return dict(json.loads(ResultMessage.model_validate(merged).to_json()))


def _rejected_example() -> Json:
    """The refusal of a real message with two problems."""
    flags = {"data": {"source": "GB1"}, "train": {"lr": -1, "learnin_rate": 0.1}}
    raw = json.dumps(
        {"experiment_id": "gb1-003", "message_id": "3f0c1c6e-gb1-003-a", "flags": flags}
    ).encode()
    try:
        parse_message(raw)
    except MessageError as error:
        refused = rejection(raw, error, node="node-1", received_at=_FINISHED)
        return dict(json.loads(refused.result.to_json()))
    raise AssertionError("the example of a refused message was accepted")
