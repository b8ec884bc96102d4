"""Templates: experiments that many users want, as flags with a description.

Each `<name>.yaml` beside this file is one. `proteinx submit --template NAME`, the Master's pages and
`GET /api/templates` offer them; what `needs` names is the user's to give.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from math import prod
from typing import Any

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.flags.nesting import expand, override
from proteinx_pipelines.nearest import nearest


class UnknownTemplate(InputError):
    """There is no template of this name."""

    code = "unknown_template"


class TemplateIsASweep(InputError):
    """A template of several experiments was asked for one."""

    code = "template_is_a_sweep"

    def __init__(self, name: str, number: int, varied: Iterable[str]) -> None:
        super().__init__(
            f"The template {name!r} is a sweep: {number} experiments that differ in {', '.join(varied)}. A job is one "
            f"experiment, so none was sent. Send them as a group: `proteinx submit --template {name} ...` where a "
            f"Master runs or with --master URL, Client.sweep(..., template={name!r}), or POST /api/groups and then "
            f'POST /api/groups/{{id}}/units with {{"template": "{name}", "flags": {{...}}}}. For one experiment take '
            "another template, or write its flags."
        )


class TemplateNeeds(InputError):
    """A template needs flags that were not given."""

    code = "template_needs"


@dataclass(frozen=True)
class Template:
    """An experiment to start from."""

    name: str
    title: str
    description: str
    """What it is for, in a sentence or two."""
    needs: tuple[str, ...]
    """Flags that the user gives, by dotted name."""
    flags: Mapping[str, Any]
    """The flags that it sets, nested."""
    expects: tuple[str, ...] = ()
    """Files that the finished experiment has."""
    grid: Mapping[str, Any] = field(default_factory=dict)
    """For a sweep: dotted flag -> its values; every combination is an experiment."""
    cheap: bool = False
    """True if it runs within seconds on a few thousand variants."""

    def document(self) -> dict[str, Any]:
        """The template as plain JSON types."""
        return {
            "name": self.name, "title": self.title, "description": self.description, "needs": list(self.needs),
            "flags": dict(self.flags), "grid": dict(self.grid), "expects": list(self.expects),
        }  # fmt: skip

    @property
    def number(self) -> int:
        """Number of its experiments."""
        return prod(len(values) for values in self.grid.values())

    def filled_for_one(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The flags of its one experiment; arguments and further errors are those of `filled`.

        Raises:
            TemplateIsASweep: it has several.
        """
        if self.grid:
            raise TemplateIsASweep(self.name, self.number, self.grid)
        return self.filled(given)

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Its flags with the user's, which win; of a sweep those that its experiments share.

        Args:
            given: nested or dotted flags.

        Raises:
            TemplateNeeds: a flag that it needs is missing.
        """
        newer, _problems = expand(given)
        nested = override(dict(self.flags), newer)
        missing = [name for name in self.needs if _absent(nested, name)]
        if missing:
            pairs = " ".join(f"{name}=..." for name in missing)
            raise TemplateNeeds(f"The template {self.name!r} needs {', '.join(missing)}: add {pairs}")
        return nested


@cache
def templates() -> dict[str, Template]:
    """All templates by name, sorted."""
    import yaml  # type: ignore[import-untyped]  # needed by those who use a template alone

    found = {}
    for file in resources.files(__name__).iterdir():
        if file.name.endswith(".yaml"):
            name = file.name.removesuffix(".yaml")
            found[name] = _template(name, yaml.safe_load(file.read_text(encoding="utf-8")))
    return dict(sorted(found.items()))


def template(name: str) -> Template:
    """One template.

    Raises:
        UnknownTemplate: there is none of this name; the message lists those there are.
    """
    known = templates()
    if name not in known:
        near = nearest(name, list(known))
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UnknownTemplate(f"There is no template {name[:60]!r}.{hint} There are {', '.join(known)}.")
    return known[name]


def _template(name: str, document: Mapping[str, Any]) -> Template:
    return Template(
        name,
        document["title"],
        document["description"].strip(),
        tuple(document.get("needs", ())),
        document["flags"],
        tuple(document.get("expects", ())),
        document.get("grid", {}),
        bool(document.get("cheap", False)),
    )


def _absent(nested: Mapping[str, Any], name: str) -> bool:
    value: Any = nested
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value is None
