"""One ended experiment as trackers see it: parameters, metrics, files, a model."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from proteinx_pipelines.execution.tracking.waiting import run_name
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.json_lines import read_json_lines
from proteinx_pipelines.experiment_dir.layout import ExperimentDir

PROJECT = "proteinx"
"""Project, or experiment, of the trackers where their own variables name none."""
ALIAS = "newest"
"""Alias of the model version that was registered last."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_./ -]")


@dataclass(frozen=True)
class Value:
    """One value of a metric."""

    name: str
    """`train/loss`, `fold_2/val/spearman`."""
    value: float
    step: int
    milliseconds: int
    """Since 1970."""


@dataclass(frozen=True)
class TrackedRun:
    """An ended experiment in a folder of `waiting`."""

    folder: Path

    @property
    def name(self) -> str:
        """`<id>@<generation>`: the same in every tracker, so that a second try finds the first."""
        return run_name(self.folder)

    @cached_property
    def directory(self) -> ExperimentDir:
        """Its files."""
        return ExperimentDir(self.folder.parent, self.folder.name)

    @cached_property
    def document(self) -> Any:
        """`experiment.json`."""
        return read_experiment(self.directory)

    @property
    def succeeded(self) -> bool:
        """True for an experiment that ended well."""
        return bool(self.document.status == "SUCCEEDED")

    @cached_property
    def tags(self) -> dict[str, str]:
        """Identity and origin."""
        document = self.document
        code = document.code or {}
        return {
            "proteinx.run": self.name, "proteinx.experiment_id": document.experiment_id,
            "proteinx.generation": str(document.generation), "proteinx.status": document.status,
            "proteinx.version": str(document.versions.get("proteinx-infra", "")),
            "proteinx.commit": str(code.get("commit") or ""),
        }  # fmt: skip

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Every flag by its dotted name, as text."""
        return dict(_flat("", read_json(self.directory.flags)))

    @cached_property
    def summary(self) -> dict[str, float]:
        """Headline metrics that are numbers."""
        found: Mapping[str, float | None] = self.document.summary or {}
        return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}

    def values(self) -> Iterator[Value]:
        """Values of the metrics of this generation, in the order in which they were told."""
        if not self.directory.metrics.is_file():
            return
        for position, line in enumerate(read_json_lines(self.directory.metrics)):
            value = line.get("value")
            if value is None or line.get("generation", self.document.generation) != self.document.generation:
                continue
            fold = line.get("fold")
            step = next((line[key] for key in ("step", "epoch") if line.get(key) is not None), position)
            yield Value(
                safe_name(line["name"] if fold is None else f"fold_{fold}/{line['name']}"),
                float(value), int(step), _milliseconds(line.get("time")),
            )  # fmt: skip

    @cached_property
    def files(self) -> list[str]:
        """Files besides the model, relative names."""
        return [name for name in file_names(self.directory) if name.startswith("artifacts/") and
                not name.startswith("artifacts/model/")]  # fmt: skip

    @property
    def model_dir(self) -> Path | None:
        """The final model where there is one, else those of the folds; None without any."""
        for folder in (self.directory.final_model_dir, self.directory.model_dir):
            if folder.is_dir():
                return folder
        return None

    @property
    def model_name(self) -> str:
        """Name of the registered model: one for a source and a kind of model."""
        source = "+".join(_texts(self.document.flags.get("data", {}).get("source")))
        kind = self.document.flags.get("model", {}).get("name", "model")
        return re.sub(r"[^A-Za-z0-9_.-]", "-", f"{PROJECT}-{source}-{kind}")[:120]


def safe_name(name: str) -> str:
    """Name of a metric with the characters that all trackers take."""
    return _UNSAFE.sub("_", name)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(each) for each in value or []]


def _flat(before: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{before}.{name}" if before else str(name), inner)
    else:
        yield before, value if isinstance(value, str) else str(value)


def _milliseconds(text: str | None) -> int:
    if not text:
        return 0
    return int(datetime.fromisoformat(text).timestamp() * 1000)
