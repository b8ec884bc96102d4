"""Options about an uploaded file: what its sender can state, as `proteinx db import` takes it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]


class ReadingWishes(BaseModel):
    """What the sender states about a file; everything else is recognised."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    template: Annotated[str, Field(max_length=100_000, pattern=r"^[A-Za-z*\s]+$")] | None = None
    """Sequence that positions refer to; found in the file if it has sequences."""
    offset: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    """Written position minus position in the template."""
    mutant_column: Name | None = None
    """Column of mutants."""
    score_column: Name | None = None
    """Column of scores."""
    bin_column: Name | None = None
    """Column of binned scores."""
    sequence_column: Name | None = None
    """Column of full sequences."""
    further_column: list[Name] = Field(default_factory=list, max_length=100)
    """Columns of other properties' scores; may be repeated."""
    positions: (
        Annotated[str, Field(max_length=10_000, pattern=r"^\s*-?\d{1,7}(\s*,\s*-?\d{1,7})*\s*$")] | None
    ) = None
    """Positions of the letters in cells such as `VDGV`: `39,40,41,54`."""
    separator: Annotated[str, Field(max_length=10)] | None = None
    """Column separator: one character, `tab` or `blank`."""
    decimal: Annotated[str, Field(pattern=r"^[.,]$")] | None = None
    """Decimal mark of the scores."""
    encoding: Annotated[str, Field(max_length=40, pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """Text encoding, such as `utf-16`."""
    sheet: Name | None = None
    """Sheet of a workbook, or file in an archive."""
    protein: bool = False
    """The letters A, C, G and T are residues, not nucleotides."""
    skip_bad: bool = False
    """Leave out bad rows, at most one in twenty; they are listed."""

    def stated(self) -> dict[str, object]:
        """Options that differ from their defaults."""
        return self.model_dump(exclude_defaults=True)
