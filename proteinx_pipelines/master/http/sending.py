"""Who may send lines and files of a job: a node, and for training code of one's own whoever may submit."""

from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.master.experiments import OWN_CODE
from proteinx_pipelines.master.http.access import Caller
from proteinx_pipelines.master.http.problems import HttpProblem


def check_sender(caller: Caller, job: Mapping[str, Any]) -> None:
    """Check that a caller may send what a job has written.

    Raises:
        HttpProblem: 403; the caller has neither the scope `node`, nor `submit` for a job of kind `run`.
    """
    allowed = "node" in caller.scopes or (job["kind"] == OWN_CODE and "submit" in caller.scopes)
    if not allowed:
        raise HttpProblem(
            403,
            "scope_missing",
            f"Sending what a job has written needs the scope `node`; the token {caller.name!r} has "
            f"{', '.join(sorted(caller.scopes))}.",
        )
