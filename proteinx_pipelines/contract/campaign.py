"""`campaigns/<id>/campaign.json`: a chain of experiments with the plates between them.

Round k trains on everything measured so far (its own source of the catalog) and proposes a plate; what is measured of
the plate becomes, with what was there, the source of round k + 1.
"""

from typing import Any, Literal

from pydantic import Field

from proteinx_pipelines.contract.base import Document, FileFact


class Plate(Document):
    """The plate that a round proposes."""

    name: str
    """File below the campaign's folder."""
    fact: FileFact
    """Size and digest of the file."""
    n_proposed: int
    """Number of proposed variants."""
    n_controls: int
    """Number of controls."""
    proposed_at: str
    """Time (UTC)."""


class MeasuredPlate(Document):
    """What was measured of a plate."""

    name: str
    """Copy of the file, below the campaign's folder."""
    given_as: str
    """Name of the file as it was given."""
    fact: FileFact
    """Size and digest of the file."""
    source: str
    """Source of the catalog with the rows of the file alone."""
    n_rows: int
    """Rows with a score."""
    n_of_plate: int
    """Proposed variants that were measured."""
    n_missing: int
    """Proposed variants without a score."""
    n_others: int
    """Measured variants that the plate does not have."""
    measured_at: str
    """Time (UTC)."""


class Round(Document):
    """One experiment of a campaign, and its plate."""

    number: int
    """From 1."""
    experiment_id: str
    """Experiment that is trained on the source and makes the proposals."""
    source: str
    """Source of the catalog: everything measured before the plate."""
    opened_at: str
    """Time (UTC)."""
    via: Literal["hand", "queue"] = "hand"
    """`queue` if a node ran the experiment, `hand` if the command did."""
    plate: Plate | None = None
    """Null until the plate is proposed."""
    measured: MeasuredPlate | None = None
    """Null until the plate is measured."""


class CampaignDocument(Document):
    """A campaign."""

    format: Literal[1] = 1
    """Version of this document."""
    campaign_id: str
    """Name of the campaign and of its folder."""
    created_at: str
    """Time (UTC)."""
    first_source: str
    """Source that the campaign began with."""
    flags: dict[str, Any]
    """Flags of every round, nested, defaults written out; `data.source` is replaced by the round's source."""
    rounds: list[Round] = Field(default_factory=list)
    """Rounds, oldest first; the last one is open."""
