"""What came out of a job, from its report: the sentence with the headline, and the warnings before it is quoted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.experiment_dir.layout import REPORT_HTML, REPORT_JSON
from proteinx_pipelines.master.artifacts.index import file_of
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.pages import report_words


@dataclass(frozen=True)
class Outcome:
    """What a job's page says first."""

    conclusion: str
    """One or two sentences with the headline and its interval."""
    lead: str
    """Split and numbers of variants."""
    warnings: tuple[str, ...]
    report: str
    """Path of the report among the job's files."""


def report_of(master: Master, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """`report.json` of a job; None where it has none, or it cannot be read."""
    try:
        place = file_of(master, row, REPORT_JSON).place
        document: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (ProteinxError, OSError, ValueError):
        return None
    return document


def outcome_of(master: Master, row: Mapping[str, Any]) -> Outcome | None:
    """What came out of a job; None where it has no report that this version reads."""
    report = report_of(master, row)
    if report is None:
        return None
    try:
        warnings = tuple(str(entry["message"]) for entry in report["warnings"])
        return Outcome(report_words.conclusion(report), report_words.lead(report), warnings, REPORT_HTML)
    except (KeyError, TypeError, IndexError, StopIteration):
        return None


def outcome_of_job(master: Master, job_id: str) -> Outcome | None:
    """`outcome_of` a job by its id.

    Raises:
        UnknownJob: there is none.
    """
    with master.database.reading() as connection:
        row = one(connection, job_id)
    return outcome_of(master, row)
