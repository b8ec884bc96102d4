"""Base of all documents: frozen, described, and open for fields that a later release adds.

A version stands for the meaning of the fields: `schema_version` in what travels over Redis, `format` in files. It
rises when a field changes its meaning or is removed; a new field does not raise it, so a reader ignores fields it
does not know.
"""

import json
import math
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from proteinx_pipelines.pipeline.stages import STAGES

Stage = Annotated[str, Field(examples=list(STAGES))]
"""Name of a stage. Not an enumeration: a later release may have more."""


class Document(BaseModel):
    """Base of the documents. The text under a field describes it, in the JSON Schema too."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,  # every field is written, also when it is empty
    )

    def document(self) -> dict[str, Any]:
        """The document as plain JSON types."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """The document as one line of JSON text."""
        return json.dumps(self.document(), ensure_ascii=False, allow_nan=False)


class SparseDocument(Document):
    """A document whose empty fields may be absent."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)


def _finite_or_null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_null)]
"""A number; null where it is undefined, since JSON has no NaN."""


class FileFact(Document):
    """One file of an experiment."""

    size: Annotated[int, Field(ge=0)]
    """Size in bytes."""
    sha256: str
    """SHA-256 of its bytes, in hexadecimal."""


class ErrorFact(Document):
    """Error of an unsuccessful experiment."""

    code: str
    """Error code for programs, such as `empty_selection`."""
    message: str = ""
    """Explanation for a person, in sentences."""
    retryable: bool | None = None
    """True if the same message, sent again unchanged, may succeed; null if that was not decided."""
    trace: str | None = None
    """The end of the Python trace; null where there is none, or it is kept elsewhere."""
