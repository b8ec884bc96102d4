"""The rows of the pipeline: name, inputs, flags and outputs of each stage.

All code that knows stages by name derives it from here: plans, keys, results, assets, pages. A new stage is a row
here and the code that computes it in `execution.stages`; checks and tables for people in `defs` are optional.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proteinx_pipelines.flags.data import NOTHING
from proteinx_pipelines.flags.tree import SILENT, ExperimentFlags, plugin_flags


@dataclass(frozen=True)
class Stage:
    """One stage, as data."""

    name: str
    """Name of the stage, its asset, its codec and, in capitals, its version constant."""
    description: str
    """One sentence for people."""
    kinds: frozenset[str]
    """Library or method, as shown on Dagster's page."""
    reads: Mapping[str, str]
    """Input stage -> the view of that stage that enters this one's key."""
    flag_groups: tuple[str, ...]
    """Groups of flags that enter its key."""
    views: tuple[str, ...] = ("all",)
    """Digests of its outputs: `all` of its files, and the parts that later stages read."""
    own_inputs: tuple[str, ...] = ()
    """For a stage that reads an input without a digest (a database): digests of its own files that enter its key
    instead.

    Such a key is known once the stage has run, or from the record of an earlier run.
    """
    single_flags: tuple[str, ...] = ()
    """Flags of other groups that it reads; they enter its key when they name something, and no other
    stage's."""
    file_flags: tuple[str, ...] = ()
    """Flags that name an input file or a folder of checkpoints; the content enters its key."""
    reads_attachments: bool = False
    """True if it reads the structures and alignments attached to the sources; their digests enter its key."""
    plugin_flags: tuple[str, ...] = ()
    """Flags that may name something registered by a plugin; the plugin's version enters its key."""
    named_by: str | None = None
    """Flag that may name a plugin with flags of its own in `ext`: `ext.model` for `model.name`. They enter its key
    where it does."""
    prints_flags: bool = False
    """True if the stage prints every flag of the experiment, so that all flags enter its key."""
    writes_below_staging: bool = False
    """True if its record names files below `staging/`: it is read again once they have moved."""
    counts: Mapping[str, str] = field(default_factory=dict)
    """Name -> dotted place of a row count in `report.json`; the numbers of a list are summed."""
    asked_for_by: str | None = None
    """Flag that switches the stage on, such as `design.library`; None for a stage of every experiment."""

    def document(self, flags: ExperimentFlags) -> dict[str, Any]:
        """The flag groups it reads, as plain JSON types, in the form that enters its key."""
        found: dict[str, Any] = {}
        for group, values in flags.groups(self.flag_groups).items():
            found[group] = {name: value for name, value in values.items() if f"{group}.{name}" not in APART}
        for dotted in self.single_flags:
            group, _, name = dotted.partition(".")
            value = value_of(flags, dotted)
            if value not in (None, NOTHING, (), SILENT.get(dotted)):
                found.setdefault(group, {})[name] = list(value) if isinstance(value, tuple) else value
        if (own := self._own_flags(flags)) is not None:
            found["ext"] = own
        return found

    def _own_flags(self, flags: ExperimentFlags) -> dict[str, Any] | None:
        """Flags in `ext` of the plugin that this stage runs; None where it runs none, or one without."""
        if self.named_by is None or not flags.ext:
            return None
        group = self.named_by.split(".")[0]
        found = plugin_flags(flags.nested())
        return {group: found[group]} if group in found else None

    def is_wanted(self, flags: ExperimentFlags) -> bool:
        """True if an experiment with these flags has this stage."""
        return self.asked_for_by is None or value_of(flags, self.asked_for_by) not in (None, False)


APART = ("data.structure", "data.chain", "data.alignment")
"""Flags that the stages of their group do not read; those that name them in `single_flags` do."""

_WORDS = dict.fromkeys(APART, (NOTHING,)) | {"model.prior": (NOTHING, "default")}
"""Flags of files -> values that are no path."""

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "selection",
            "The measured rows an experiment is about, and the query that chose them.",
            frozenset({"sqlite"}),
            reads={},
            flag_groups=("data",),
            views=("all", "rows"),
            own_inputs=("rows",),
            counts={"rows": "experiment.query.rows"},
        ),
        Stage(
            "transform",
            "Clean sequences and targets: mutations applied, replicates and synonymous variants merged.",
            frozenset({"python"}),
            reads={"selection": "rows"},
            flag_groups=("transform",),
            # With several tasks, rows without a score are kept for the other ones.
            single_flags=("model.tasks",),
            views=("all", "sequences", "targets"),
            counts={"variants": "data.n_variants"},
        ),
        Stage(
            "embedding",
            "One vector per sequence; knows nothing of the split.",
            frozenset({"pytorch"}),
            reads={"transform": "sequences"},
            flag_groups=("embedding",),
            single_flags=APART,
            reads_attachments=True,
            file_flags=("embedding.weights", "embedding.path", "data.structure", "data.alignment"),
            plugin_flags=("embedding.name", "embedding.also"),
        ),
        Stage(
            "split",
            "Which variant is trained on and which is tested, and why.",
            frozenset({"python"}),
            reads={"transform": "all"},
            flag_groups=("split",),
            file_flags=("split.path",),
            plugin_flags=("split.method",),
            named_by="split.method",
            counts={part: f"split.sizes.{part}" for part in ("train", "val", "test")},
        ),
        Stage(
            "train",
            "One trained model per fold, with its checkpoints and metrics.",
            frozenset({"pytorch"}),
            reads={"transform": "targets", "embedding": "all", "split": "all"},
            flag_groups=("model", "train", "trainer"),
            # Scores that are 0 and 1 by themselves are the same targets, but have no class probabilities.
            single_flags=("transform.bins",),
            file_flags=("train.ckpt_path", "model.weights", "model.prior"),
            plugin_flags=("model.name",),
            named_by="model.name",
            writes_below_staging=True,
        ),
        Stage(
            "evaluate",
            "Predictions, metrics with confidence intervals, baselines, plots and the report.",
            frozenset({"python"}),
            reads={"transform": "all", "embedding": "all", "split": "all", "train": "all"},
            flag_groups=("evaluate",),
            plugin_flags=("evaluate.metrics",),
            prints_flags=True,
            counts={"tested on": "metrics.test.n"},
        ),
        Stage(
            "design",
            "A model of all labelled rows, a library of variants, predictions and a plate of proposals.",
            frozenset({"python"}),
            reads={
                "selection": "rows",
                "transform": "all",
                "embedding": "all",
                "train": "all",
                "evaluate": "all",
            },
            flag_groups=("design",),
            file_flags=("design.path",),
            writes_below_staging=True,
            asked_for_by="design.library",
        ),
    )
}
"""Name -> stage, in the order in which they run."""


def stages_of(flags: ExperimentFlags) -> tuple[Stage, ...]:
    """The stages that an experiment with these flags has, in order."""
    return tuple(stage for stage in STAGES.values() if stage.is_wanted(flags))


def always_made() -> tuple[str, ...]:
    """Names of the stages that every experiment has, in order."""
    return tuple(name for name, stage in STAGES.items() if stage.asked_for_by is None)


def planned_stages(plan: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the stages in this plan, in order, with those that every experiment has."""
    return tuple(name for name in STAGES if name in (plan or {}) or name in always_made())


def readers_of_groups() -> dict[str, tuple[str, ...]]:
    """Flag group -> the stages that read it, and likewise each flag of `APART` and `SILENT`.

    No stage reads `run`, and `ext` only where a plugin's model or split method is named.
    """
    groups = {
        group: tuple(name for name, stage in STAGES.items() if group in stage.flag_groups)
        for group in ExperimentFlags.model_fields
    }
    apart = {
        flag: tuple(name for name, stage in STAGES.items() if flag in stage.single_flags) for flag in APART
    }
    silent = {
        flag: tuple(
            name
            for name, stage in STAGES.items()
            if flag in stage.single_flags or flag.split(".")[0] in stage.flag_groups
        )
        for flag in SILENT
    }
    return {**groups, **apart, **silent}


def count(report: Mapping[str, Any], place: str) -> Any:
    """The number at a dotted place of `report.json`, summed over a list; None where there is none."""
    found: Any = report
    for number, name in enumerate(names := place.split(".")):
        if isinstance(found, list | tuple):
            rest = ".".join(names[number:])
            return sum(count(entry, rest) or 0 for entry in found) if found else None
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def value_of(flags: ExperimentFlags | Mapping[str, Any], dotted: str) -> Any:
    """Value of a flag by its dotted name; None for a missing one of `ext`, or of a document without it."""
    group, _, name = dotted.partition(".")
    found = flags.get(group, {}) if isinstance(flags, Mapping) else getattr(flags, group)
    return found.get(name) if isinstance(found, Mapping) else getattr(found, name)


def named_paths(flags: ExperimentFlags | Mapping[str, Any]) -> dict[str, str]:
    """Text of each flag that names a path, by dotted name (`split.path` -> text). The file system is not accessed."""
    flagged = [name for stage in STAGES.values() for name in stage.file_flags]
    names = [name for name in flagged if value_of(flags, name) is not None]  # few are set, and every job asks
    return {place: text for name in names for place, text in paths_of(flags, name).items()}


def paths_of(flags: ExperimentFlags | Mapping[str, Any], name: str) -> dict[str, str]:
    """Text of each path that one flag names, by its place: `split.path`, or `design.path[1]` in a list of several."""
    value = value_of(flags, name)
    texts = () if value is None else (value,) if isinstance(value, str) else tuple(value)
    places = [name] if len(texts) == 1 else [f"{name}[{number}]" for number in range(len(texts))]
    return {place: text for place, text in zip(places, texts, strict=True) if is_path(name, text)}


def is_path(name: str, text: str) -> bool:
    """True if the text of a flag that names a file is a path, not the word that asks for none."""
    return text not in _WORDS.get(name, ())
