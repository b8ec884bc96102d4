"""A job as a document, for HTTP, pages and the client."""

from collections.abc import Mapping
from typing import Any


def job_document(row: Mapping[str, Any], *, position: int | None = None, **more: Any) -> dict[str, Any]:
    """The document of one row of `jobs`.

    Args:
        row: the row, by column.
        position: place among the waiting jobs, from 1; None for one that does not wait.
        more: further fields, such as `eta_s`.
    """
    error = None
    if row["error_code"] is not None:
        error = {"code": row["error_code"], "message": row["error_message"]}
    document = {
        "job_id": row["job_id"],
        "experiment_id": row["experiment_id"],
        "kind": row["kind"],
        "state": row["state"],
        "priority": row["priority"],
        "position": position,
        "reason": row["reason"],
        "eta_s": None,
        "stage": row["stage"],
        "progress": row["progress"],
        "note": row["note"],
        "node": row["node"],
        "group": row["group_id"],
        "unit": row["unit_id"],
        "source": row["source"],
        "model": row["model"],
        "flags": row["flags"],
        "payload_ref": row["payload_ref"],
        "dataset": row["dataset"],
        "needs": row["needs"],
        "deadline": row["deadline"],
        "summary": row["summary"] or {},
        "error": error,
        "generation": row["generation"],
        "attempts": row["attempts"],
        "retry_of": row["retry_of"],
        "created_by": row["created_by"],
        "created_at": row["created_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "updated_at": row["updated_at"],
        "schema_version": 1,
    }
    return {**document, **more}
