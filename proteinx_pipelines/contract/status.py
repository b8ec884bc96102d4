"""Status of an experiment for display: a hash in Redis. The result document is authoritative."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from proteinx_pipelines.contract.base import SparseDocument, Stage

OPEN_STATES = ("PENDING", "RUNNING")
"""States of an experiment that has not ended."""
FINAL_STATES = ("SUCCEEDED", "FAILED", "CANCELLED")
"""States of an experiment that has ended."""


class Status(SparseDocument):
    """Status of an experiment. A change carries the fields that it sets; the hash keeps the others."""

    state: Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"] | None = None
    """`PENDING`, `RUNNING`, then the final one."""
    stage: Stage | None = None
    """The stage that runs; the first one while it waits, the last one when it succeeded."""
    progress: float | None = None
    """Completed fraction of all stages together, 0 to 1."""
    note: str | None = None
    """Progress message of the stage."""
    generation: int | None = None
    """Number of the accepted message for this experiment, counted from 1."""
    attempt: int | None = None
    """Number of the execution within that generation, counted from 1."""
    position: int | None = None
    """Place in the node's queue: 1 is next, 0 is running or over."""
    error: str | None = None
    """Error code, if there was an error."""
    node: str | None = None
    """Name of the node that has it."""
    updated_at: str | None = None
    """Time of the last change (ISO 8601, UTC)."""
    schema_version: Literal[1] = 1
    """Version of this document."""

    @property
    def is_final(self) -> bool:
        """True if the experiment has ended."""
        return self.state in FINAL_STATES

    def changed(self) -> dict[str, Any]:
        """The fields that this change sets, as plain JSON types."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_hash(self) -> dict[str, str]:
        """The same fields as texts, the form of a Redis hash; null is an empty text."""
        return {name: "" if value is None else str(value) for name, value in self.changed().items()}

    @classmethod
    def from_hash(cls, fields: Mapping[Any, Any]) -> Self:
        """Read a hash, its names and values as texts or bytes.

        Raises:
            ValueError: a field is not of its form.
        """
        texts = {_text(name): _text(value) for name, value in fields.items()}
        given: dict[str, Any] = {name: value for name, value in texts.items() if value != ""}
        if "schema_version" in given:
            given["schema_version"] = int(given["schema_version"])  # a constant is not read from a text
        return cls.model_validate(given)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
