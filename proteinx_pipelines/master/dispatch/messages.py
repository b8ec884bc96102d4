"""The message of a job to its node, and the names that tie a result to one dispatch of one job.

`message_id` is `<job>/<token>`. A message pushed twice is answered once by its node, and a result whose token is not
the job's current one is late: it counts nothing.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.contract.request import SCHEMA_VERSION

_MESSAGE_ID = re.compile(r"(j-[0-9a-f]+)/([0-9]{1,9})")


def message_id(job_id: str, token: int) -> str:
    """The `message_id` of one dispatch."""
    return f"{job_id}/{token}"


def dispatch_of(text: str | None) -> tuple[str, int] | None:
    """Job and token that a `message_id` names; None for one that no Master made."""
    found = _MESSAGE_ID.fullmatch(text or "")
    return (found[1], int(found[2])) if found else None


def message_of_job(row: Mapping[str, Any], *, may_repeat: bool) -> bytes:
    """The message that gives a job to its node.

    Args:
        row: of `jobs`, assigned.
        may_repeat: true if the node may know the experiment from an earlier dispatch or attempt of this job.
    """
    flags = dict(row["flags"])
    if may_repeat:
        flags["run"] = {**flags.get("run", {}), "allow_duplicate": True}
    document = {
        "experiment_id": row["experiment_id"],
        "flags": flags,
        "payload_ref": row["payload_ref"],
        "message_id": message_id(row["job_id"], row["token"]),
        "priority": row["priority"],
        "schema_version": SCHEMA_VERSION,
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8")
