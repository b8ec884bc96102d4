"""Predictions of a model: at once for a few variants, as a job for many, or where the model is on another machine.

At once, a process of the node's own program answers (`execution.prediction_service`), which stays warm. A job is an
experiment with the model's flags and `design.library=file`: its stages are taken over, its design stage predicts, and
its predictions are in `artifacts/design/predictions.parquet` and `.csv`.
"""

import csv
import io
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection

from proteinx_pipelines.csv_cells import safe_cell
from proteinx_pipelines.errors import InputError, NotInTime
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.master.apart import Apart
from proteinx_pipelines.master.artifacts.uploads import Upload, record
from proteinx_pipelines.master.experiments import experiment_here
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.master import Master

AT_ONCE = 2_000
"""Most variants that are predicted while the caller waits."""
LONGEST_S = 60.0
"""Seconds that a caller waits; what takes longer is done as a job."""
MOST = 200_000
"""Most variants of one request."""
VARIANTS = "inputs/variants.csv"
"""Path of the variants among the files of a prediction's job."""
service = Apart("proteinx_pipelines.execution.prediction_service", longest_s=LONGEST_S, at_once=2)


class PredictRequest(BaseModel):
    """Variants to predict."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"mutants": ["V39L", "V39L:D40G"]}]},
    )

    mutants: list[str] = Field(default_factory=list, max_length=MOST)
    """Mutants, as people write them, or whole sequences."""
    sequences: list[str] = Field(default_factory=list, max_length=MOST)
    """Whole sequences; the same as in `mutants`."""
    source: str | None = None
    """Source of the variants; needed where the model was trained on several."""
    as_job: bool | None = None
    """True: always a job. False: never; more than the limit is refused. Null: a job where it takes long."""

    @model_validator(mode="after")
    def _some(self) -> "PredictRequest":
        if not self.variants:
            raise ValueError("found no variant; `mutants` or `sequences` is expected")
        if any(len(text) > 50_000 for text in self.variants):
            raise ValueError("found a variant with more than 50,000 characters")
        return self

    @property
    def variants(self) -> list[str]:
        """All of them, in order."""
        return [*self.mutants, *self.sequences]


class PredictionError(InputError):
    """The model cannot predict these variants; `code` is the model's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def predict_now(master: Master, row: Mapping[str, Any], asked: PredictRequest) -> list[dict[str, Any]] | None:
    """Predictions, one a variant in the order asked; None where it has to be a job. Not for the event loop.

    Raises:
        PredictionError: a variant cannot be read, or the model cannot be used.
    """
    if asked.as_job or len(asked.variants) > AT_ONCE:
        return None
    if experiment_here(master.settings.node, row) is None:
        return None
    request = {
        "workdir": str(master.settings.node.workdir),
        "experiment_id": row["experiment_id"],
        "mutants": asked.variants,
        "source": asked.source,
    }
    try:
        answer = service.ask(request)
    except NotInTime:
        return None
    if answer is None:
        return None
    if "rows" not in answer:
        raise PredictionError(answer["code"], answer["message"])
    rows: list[dict[str, Any]] = answer["rows"]
    return rows


def predict_as_job(
    master: Master, row: Mapping[str, Any], asked: PredictRequest, *, caller: str
) -> Callable[[Connection], str]:
    """Store the variants, and return the change that creates the job of a prediction and gives its id.

    Not for the event loop.

    Args:
        master: whose model it is.
        row: of the job that trained it.
        asked: the variants.
        caller: who asks.
    """
    size, sha256 = _stored(master, asked.variants)
    design = {**row["flags"].get("design", {}), "library": "file", "keep_measured": True}
    design["path"] = f"px://sha256/{sha256}/{PurePosixPath(VARIANTS).name}"
    if asked.source is not None:
        design["source"] = asked.source
    flags = parse_flags({**row["flags"], "design": design}).nested()
    request = JobRequest(
        flags=flags,
        experiment_id=f"{row['experiment_id'][:80]}-predict-{secrets.token_hex(3)}",
        payload_ref=row["payload_ref"],
        dataset=row["dataset"],
        priority=row["priority"],
    )
    checked = check(request)

    def change(connection: Connection) -> str:
        job_id = create(connection, checked, caller=caller, kind="predict")
        record(connection, job_id, {VARIANTS: (size, sha256)})
        return job_id

    return change


def _stored(master: Master, variants: Sequence[str]) -> tuple[int, str]:
    """Write the variants as a file that nodes fetch."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mutant"])
    writer.writerows([safe_cell(variant)] for variant in variants)
    upload = Upload.of(master.settings, "variants", secrets.token_hex(8))
    upload.begin(0)
    upload.append(text.getvalue().encode("utf-8"))
    return upload.finish()
