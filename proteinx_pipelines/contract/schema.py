"""JSON Schemas and examples of every document, for authors of other programs that read or write them.

They are generated from the code that checks and writes the documents, and stored as files in `contract/schemas/`
(shipped with the package) and `docs/schemas/`:

    python -m proteinx_pipelines.contract.schema proteinx_pipelines/contract/schemas docs/schemas
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from proteinx_pipelines.contract.base import Document
from proteinx_pipelines.contract.campaign import CampaignDocument
from proteinx_pipelines.contract.cancel import CANCEL_SCHEMA
from proteinx_pipelines.contract.capabilities import Capabilities
from proteinx_pipelines.contract.event import Event, JournalEvent, MetricLine
from proteinx_pipelines.contract.examples import examples, request_examples, result_examples
from proteinx_pipelines.contract.experiment import ExperimentDocument
from proteinx_pipelines.contract.failure import FailureBundle
from proteinx_pipelines.contract.heartbeat import GpuUsage, Heartbeat
from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.contract.pipeline import PipelineDocument
from proteinx_pipelines.contract.report import Report
from proteinx_pipelines.contract.request import PRIORITY_RANGE, REPLY_NAME, REQUIRED, SCHEMA_VERSION
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.contract.shard import TrainingShard
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.flags.reference import message_flags_schema

Json = dict[str, Any]
MODELS: Mapping[str, tuple[str, type[Document]]] = {
    "result": ("ProteinX experiment result", ResultMessage),
    "status": ("ProteinX experiment status", Status),
    "event": ("ProteinX event", Event),
    "heartbeat": ("ProteinX heartbeat of a node", Heartbeat),
    "gpu_usage": ("ProteinX load of a node", GpuUsage),
    "capabilities": ("ProteinX capabilities of a node", Capabilities),
    "job": ("ProteinX job of the Master", JobDocument),
    "lending": ("ProteinX lending of a node's machine", Lending),
    "shard": ("ProteinX piece of training", TrainingShard),
    "experiment": ("ProteinX experiment.json", ExperimentDocument),
    "pipeline": ("ProteinX config/pipeline.json", PipelineDocument),
    "report": ("ProteinX artifacts/report.json", Report),
    "failure": ("ProteinX failure bundle", FailureBundle),
    "campaign": ("ProteinX campaign.json", CampaignDocument),
    "journal_event": ("ProteinX line of logs/events", JournalEvent),
    "metric_line": ("ProteinX line of metrics/metrics.jsonl", MetricLine),
}
"""Document name -> its title and its model. The request has its own parser, `contract.request`."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def documents() -> dict[str, Json]:
    """Every document by file name."""
    return {
        "request.schema.json": request_schema(),
        "cancel.schema.json": {"$schema": _DIALECT, **CANCEL_SCHEMA},
        **{f"{name}.schema.json": model_schema(name) for name in MODELS},
        **{f"examples/request.{name}.json": document for name, document in request_examples().items()},
        **{f"examples/result.{name}.json": document for name, document in result_examples().items()},
        **{f"examples/{name}.json": document.document() for name, document in examples().items()},
    }


def request_schema() -> Json:
    """JSON Schema (2020-12) of a request message."""
    least, most = PRIORITY_RANGE
    return {
        "$schema": _DIALECT,
        "title": "ProteinX experiment request",
        "description": "UTF-8 JSON of at most 1 MiB, no key twice in an object; unknown fields are ignored.",
        "type": "object",
        "required": list(REQUIRED),
        "properties": {
            "experiment_id": {
                "description": "Name of the experiment and of its directory; no two dots in a row, no dot at "
                "the end, not the name of a Windows device.",
                "type": "string",
                "pattern": r"^(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$",
            },
            "flags": {
                **message_flags_schema(),
                "description": "What the experiment is: nested, dotted or mixed. `data.source` is required.",
            },
            "payload_ref": {
                "description": "Data already on the node or in a configured store; null for its catalog.",
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 4096,
            },
            "message_id": {
                "description": "The sender's name for this message: printable characters, not `sha256:` in front. "
                "The same message again is answered with the stored result; without it, equal bytes are the same "
                "message.",
                "type": ["string", "null"],
                "pattern": r"^(?!sha256:)[^\u0000-\u001F\u007F-\u009F]*$",
                "minLength": 1,
                "maxLength": 200,
            },
            "priority": {
                "description": "Higher goes first; equal priorities in order of arrival.",
                "type": "integer",
                "minimum": least,
                "maximum": most,
                "default": 0,
            },
            "reply_to": {
                "description": "The result goes to the list `experiments:results:to:<reply_to>`, kept for 7 days, and "
                "not to the list of all results.",
                "type": ["string", "null"],
                "pattern": REPLY_NAME,
            },
            "schema_version": {"const": SCHEMA_VERSION, "default": SCHEMA_VERSION},
        },
    }


def model_schema(name: str) -> Json:
    """JSON Schema (2020-12) of a document as it is written, by its name in `MODELS`."""
    title, model = MODELS[name]
    return {"$schema": _DIALECT, **model.model_json_schema(mode="serialization"), "title": title}


def write_documents(folder: Path) -> list[Path]:
    """Write every document into a folder; returns their paths."""
    written = []
    for name, document in documents().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text_of(document), encoding="utf-8")
        written.append(target)
    return written


def text_of(document: Json) -> str:
    """A document in the form of its file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(folders: Iterable[str]) -> None:
    """Write the documents into each folder."""
    for folder in folders:
        write_documents(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
