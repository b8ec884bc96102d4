"""JSON Schemas and examples of the two documents that travel, for those who write the other side.

They are generated from the code that checks and writes the documents, and lie as files in
`contract/schemas/` (shipped with the package) and `docs/schemas/`:

    python -m proteinx_pipelines.contract.schema proteinx_pipelines/contract/schemas docs/schemas
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from proteinx_pipelines.contract.request import (
    PRIORITY_RANGE,
    REPLY_NAME,
    REQUIRED,
    SCHEMA_VERSION,
    parse_message,
)
from proteinx_pipelines.contract.result import ResultMessage, rejection, result_id
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.flags.reference import message_flags_schema

Document = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_RECEIVED, _STARTED = "2026-03-01T11:59:59.125+00:00", "2026-03-01T12:00:00.000+00:00"
_FINISHED = "2026-03-01T12:01:30.250+00:00"


def documents() -> dict[str, Document]:
    """Every document by the name of its file."""
    return {
        "request.schema.json": request_schema(),
        "result.schema.json": result_schema(),
        **{f"examples/request.{name}.json": document for name, document in request_examples().items()},
        **{f"examples/result.{name}.json": document for name, document in result_examples().items()},
    }


def request_schema() -> Document:
    """JSON Schema (2020-12) of a message in."""
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


def result_schema() -> Document:
    """JSON Schema (2020-12) of a result."""
    schema = ResultMessage.model_json_schema(mode="serialization")
    return {"$schema": _DIALECT, **schema, "title": "ProteinX experiment result"}


def request_examples() -> dict[str, Document]:
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


def result_examples() -> dict[str, Document]:
    """Results as a node sends them, one of each status."""
    common: Document = {
        "message_id": "3f0c1c6e-gb1-002-a", "experiment_id": "gb1-002", "attempt": 1,
        "started_at": _STARTED, "finished_at": _FINISHED, "node": "node-1",
    }  # fmt: skip
    files = ("artifacts/predictions.parquet", "artifacts/report.html", "experiment.json")
    succeeded: Document = {
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


def write_documents(folder: Path) -> list[Path]:
    """Write every document into a folder; returns their paths."""
    written = []
    for name, document in documents().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text_of(document), encoding="utf-8")
        written.append(target)
    return written


def text_of(document: Document) -> str:
    """A document as it stands in its file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _result(generation: int, *parts: Document) -> Document:
    identity = result_id("gb1-002", generation, received_at=_RECEIVED, node="node-1")
    merged: Document = {"result_id": identity, "generation": generation}
    for part in parts:
        merged.update(part)
    return dict(json.loads(ResultMessage.model_validate(merged).to_json()))


def _rejected_example() -> Document:
    """The answer to a real message with two problems."""
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


def main(folders: Iterable[str]) -> None:
    """Write the documents into each folder."""
    for folder in folders:
        write_documents(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
