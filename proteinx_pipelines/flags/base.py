"""What every flag group has in common: frozen, strict, no unknown names, documented under the field."""

from pydantic import BaseModel, ConfigDict, Field, model_validator


class FlagGroup(BaseModel):
    """Base of the flag groups. A group's fields are its flags; the text under a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Range(FlagGroup):
    """A closed interval; a missing end is open."""

    min: float | None = None
    """Smallest value that passes."""
    max: float | None = None
    """Largest value that passes."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> "Range":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is greater than max {self.max:g}; swap them")
        return self


class CountRange(FlagGroup):
    """A closed interval of whole numbers >= 0; a missing end is open."""

    min: int | None = Field(None, ge=0)
    """Smallest count that passes."""
    max: int | None = Field(None, ge=0)
    """Largest count that passes."""

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> "CountRange":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is greater than max {self.max}; swap them")
        return self
