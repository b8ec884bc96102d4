"""A unit as experiments: a base set of flags, and a grid, a list or a random draw over some of them.

{"flags": {...}, "grid": {"split.seed": [0, 1, 2], "model.name": ["ridge", "gp"]}}      6 experiments
{"flags": {...}, "list": [{"model.name": "ridge"}, {"model.name": "gp", "split.seed": 1}]}   2
{"flags": {...}, "draw": {"train.lr": {"low": 1e-4, "high": 1e-1, "log": true}}, "n": 20}   20, drawn by `seed`
"""

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.templates import template

MOST = 10_000
"""Largest number of experiments of one unit."""


class BadUnit(InputError):
    """A unit cannot be expanded; the message says why."""

    code = "bad_unit"


class Range(BaseModel):
    """Where a flag is drawn from: an interval, or a list of choices."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    low: float | None = None
    """Smallest value."""
    high: float | None = None
    """Largest value."""
    log: bool = False
    """True to draw the logarithm evenly."""
    integer: bool = False
    """True for whole numbers."""
    choices: list[Any] | None = None
    """Values to choose from, instead of an interval."""

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.choices is not None:
            if not self.choices or self.low is not None or self.high is not None:
                raise ValueError("give either non-empty `choices`, or `low` and `high`")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("`low` and `high` are expected, with low < high; or `choices`")
        if self.log and self.low <= 0:
            raise ValueError("`low` must be greater than 0 where `log` is true")
        return self

    def draw(self, chance: random.Random) -> Any:
        """One value."""
        if self.choices is not None:
            return chance.choice(self.choices)
        low, high = float(self.low or 0.0), float(self.high or 0.0)
        value = (
            math.exp(chance.uniform(math.log(low), math.log(high))) if self.log else chance.uniform(low, high)
        )
        return round(value) if self.integer else value


class UnitRequest(BaseModel):
    """A base set of flags, and what varies."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "flags": {"data.source": "GB1", "split.folds": 5},
                    "grid": {"split.seed": [0, 1, 2], "model.name": ["ridge", "gp"]},
                }
            ]
        },
    )

    flags: dict[str, Any] = Field(default_factory=dict)
    """Flags that all have, nested or dotted."""
    template: str | None = None
    """Template that the flags are added to; its grid counts where nothing else says what varies."""
    grid: dict[str, list[Any]] | None = None
    """Flag -> values; every combination is an experiment."""
    list_: list[dict[str, Any]] | None = Field(default=None, alias="list")
    """Changed flags of each experiment."""
    draw: dict[str, Range] | None = None
    """Flag -> range; each of `n` experiments draws all of them."""
    search: dict[str, Range] | None = None
    """Flag -> range; each of `n` experiments is asked of Optuna, which has been told the results before it."""
    n: int = Field(default=10, ge=1, le=MOST)
    """Number of experiments of `draw` and `search`."""
    seed: int = 0
    """Seed of `draw` and `search`."""
    metric: str = "test/spearman"
    """For `search`: the summary metric to look at."""
    direction: Literal["maximize", "minimize"] = "maximize"
    """For `search`: which way is better."""
    at_once: int = Field(default=4, ge=1, le=1000)
    """For `search`: experiments that are open at the same time."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Priority of the jobs."""
    dataset: str | None = None
    """Uploaded data set to take instead of the node's catalog."""

    @model_validator(mode="after")
    def _one_way(self) -> "UnitRequest":
        ways = [name for name in ("grid", "list_", "draw", "search") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise ValueError("give one of `grid`, `list`, `draw` and `search`")
        return self


def variations(unit: UnitRequest) -> list[dict[str, Any]]:
    """Changed flags of each experiment of a unit, in order; a search has none yet.

    Raises:
        BadUnit: there would be none, or more than `MOST`.
        UnknownTemplate: there is no such template.
    """
    grid: Mapping[str, list[Any]] | None = unit.grid
    if grid is None:
        grid = _grid_of_template(unit)
    if grid is not None:
        empty = [name for name, values in grid.items() if not values]
        size = math.prod(len(values) for values in grid.values())
        if empty or size > MOST:
            found = f"`{empty[0]}` has no values" if empty else f"it has {size} combinations"
            raise BadUnit(f"The grid cannot be expanded: {found}; from 1 to {MOST} experiments are expected.")
        return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    if unit.list_ is not None:
        if not 1 <= len(unit.list_) <= MOST:
            raise BadUnit(f"The list has {len(unit.list_)} entries; from 1 to {MOST} are expected.")
        return list(unit.list_)
    if unit.draw is not None:
        chance = random.Random(unit.seed)  # noqa: S311  # no secret
        return [{name: each.draw(chance) for name, each in unit.draw.items()} for _ in range(unit.n)]
    return [] if unit.search is not None else [{}]


def _grid_of_template(unit: UnitRequest) -> Mapping[str, list[Any]] | None:
    """The grid of the unit's template; None where the unit says itself what varies, or the template has none."""
    says = (unit.list_, unit.draw, unit.search)
    if unit.template is None or any(way is not None for way in says):
        return None
    return template(unit.template).grid or None
