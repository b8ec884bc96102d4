"""The whole flag tree of one experiment, and its canonical form."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from proteinx_pipelines.flags.base import LONGEST_EXT, FlagGroup
from proteinx_pipelines.flags.data import DataFlags
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.evaluate import EvaluateFlags
from proteinx_pipelines.flags.model import MODELS, ModelFlags
from proteinx_pipelines.flags.reading import effective
from proteinx_pipelines.flags.run import RunFlags
from proteinx_pipelines.flags.split import SPLIT_METHODS, SplitFlags
from proteinx_pipelines.flags.train import Span, TrainFlags
from proteinx_pipelines.flags.trainer import TrainerFlags
from proteinx_pipelines.flags.transform import TransformFlags

NOT_JUDGED = ("run", "ext", "design")
"""Groups that affect nothing the report assesses; it does not print them (of `ext`, `plugin_flags` count)."""

SILENT: Mapping[str, Any] = {"model.tasks": "single"}
"""Flag -> its default, at which it enters no key and no report: results of before it existed are found again."""

_NOT_SEARCHED = (
    "name",
    "tasks",
    "weights",
    "ckpt_path",
    "export_pt",
    "search",
    "search_trials",
    "search_metric",
    "seeds",
)


class ExperimentFlags(FlagGroup):
    """All flags of an experiment."""

    data: DataFlags
    transform: TransformFlags = TransformFlags()
    embedding: EmbeddingFlags = EmbeddingFlags()
    split: SplitFlags = SplitFlags()
    model: ModelFlags = ModelFlags()
    train: TrainFlags = TrainFlags()
    trainer: TrainerFlags = TrainerFlags()
    evaluate: EvaluateFlags = EvaluateFlags()
    design: DesignFlags = DesignFlags()
    run: RunFlags = RunFlags()
    ext: dict[str, Any] = Field(default_factory=dict)
    """Free JSON for the Master's own extensions, passed through unchanged; at most 65,536 characters of JSON."""

    @field_validator("ext")
    @classmethod
    def _ext_is_a_note(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Limit the size of `ext`: messages, databases and bundles carry it; data travel by reference."""
        length = len(json.dumps(value, ensure_ascii=False))
        if length > LONGEST_EXT:
            raise ValueError(
                f"found {length:,} characters as JSON, expected at most {LONGEST_EXT:,}; send data by reference"
            )
        return value

    @model_validator(mode="after")
    def _classes_are_asked_of_what_has_them(self) -> "ExperimentFlags":
        """Refuse `transform.bins` beside what needs scores."""
        if not self.transform.bins:
            return self
        if self.design.library is not None:
            raise ValueError(
                "`transform.bins` makes classes, and a design ranks scores: leave out `transform.bins`, or "
                "`design.library`"
            )
        if self.split.method == "low_vs_high":
            raise ValueError(
                "`transform.bins` makes classes, and `split.method` 'low_vs_high' trains on the lower ones "
                "alone, which teaches no model the upper ones: take another `split.method`"
            )
        return self

    @model_validator(mode="after")
    def _a_search_is_of_flags(self) -> "ExperimentFlags":
        """Check every value of `train.search` as if it were written itself."""
        if not self.train.search:
            return self
        if self.split.inner_folds is None:
            raise ValueError("`train.search` chooses on inner folds; give `split.inner_folds` too")
        found = [
            text
            for dotted, choices in self.train.space.items()
            for text in self._wrong_search(dotted, choices)
        ]
        if found:
            raise ValueError("`train.search` " + "; ".join(found))
        return self

    def _wrong_search(self, dotted: str, choices: tuple[Any, ...] | Span) -> Iterator[str]:
        """What is wrong with one flag of `train.search`, in words."""
        group, _, name = dotted.partition(".")
        known = group in ("model", "train") and name in type(getattr(self, group)).model_fields
        if not known or name in _NOT_SEARCHED:
            yield f"names {dotted!r}; flags of `model` and `train` are expected"
            return
        values = choices if isinstance(choices, tuple) else (choices.low, choices.high)
        before = getattr(self, group)
        plain = before.model_copy(update={"search": {}}) if group == "train" else before
        for value in values:
            tried = int(value) if not isinstance(choices, tuple) and choices.whole else value
            try:
                type(before).model_validate({**plain.model_dump(mode="json"), name: tried})
            except ValidationError as error:
                yield f"has {dotted} {tried!r}: {error.errors()[0]['msg']}"

    @property
    def trains_on_scores(self) -> bool:
        """True if the targets are the scores themselves, whose errors mean something to a model."""
        return self.transform.target == "none" and not self.transform.bins and self.train.target != "rank"

    def nested(self) -> dict[str, Any]:
        """The tree as plain JSON types, defaults written out."""
        return self.model_dump(mode="json")

    def groups(self, names: Iterable[str]) -> dict[str, Any]:
        """Some groups as plain JSON types, in the form that enters the key of a stage reading them.

        A flag that nothing reads with this model is set to its default, so it enters no key.
        """
        read = effective(self)
        tree = {**without_silent(read.nested()), "trainer": read.trainer.key_arguments()}
        return {group: tree[group] for group in names}


def without_silent(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Nested flags without those of `SILENT` that are at their defaults."""
    return {
        group: {name: value for name, value in flags.items() if SILENT.get(f"{group}.{name}", ...) != value}
        for group, flags in nested.items()
    }


def plugin_flags(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of `ext` that a plugin reads: `model` and `split`, where the model or the split method is a plugin's.

    Args:
        nested: a flag set as nested JSON.
    """
    ext = nested.get("ext") or {}
    named = {
        "model": nested["model"]["name"] not in MODELS,
        "split": nested["split"]["method"] not in SPLIT_METHODS,
    }
    return {group: ext[group] for group, is_plugins in named.items() if is_plugins and ext.get(group)}


def canonical_json(document: Any) -> str:
    """Canonical text of a JSON value: keys sorted, no spaces, whole floats as integers.

    `1e-3` and `0.001` are one float and print alike; `1` and `1.0` differ in type, not in meaning, so whole
    floats are written as integers.
    """
    return json.dumps(
        _whole_floats_as_integers(document),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def sha256_of(document: Any) -> str:
    """SHA-256 of the canonical text of a JSON value, in hexadecimal."""
    return hashlib.sha256(canonical_json(document).encode("utf-8")).hexdigest()


def _whole_floats_as_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole_floats_as_integers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_whole_floats_as_integers(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
