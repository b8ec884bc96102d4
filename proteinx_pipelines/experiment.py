"""A finished experiment for a script or a notebook: `open_experiment("gb1-001").predictions`.

Reads the experiment directory only: no queue, no database, no Dagster. Every part is read on first use and cached;
nothing is ever written.
"""

import fnmatch
import importlib
import os
import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from proteinx_pipelines.errors import InputError, MissingArtifact, UnknownExperiment
from proteinx_pipelines.experiment_dir.files import read_json, read_parquet
from proteinx_pipelines.experiment_dir.json_lines import read_json_lines
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir
from proteinx_pipelines.experiment_id import experiment_id_problem
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import Embedding, Split, Training, VariantTable
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.workdir import Workdir

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from proteinx_pipelines.pages.figures.figure import Figure
    from proteinx_pipelines.settings import Settings
    from proteinx_pipelines.stages.train.export import FittedModel

Record = TypeVar("Record")
_METRIC_COLUMNS = ("name", "value", "step", "epoch", "fold", "generation", "attempt", "time")


def open_experiment(
    id_or_path: str | os.PathLike[str], workdir: str | os.PathLike[str] | None = None
) -> "Experiment":
    """Open an experiment of this node, or an experiment directory copied from elsewhere.

    Args:
        id_or_path: an experiment's id, or the path of its directory.
        workdir: where the id is looked for; that of the settings (`PROTEINX_WORKDIR`) when None.

    Raises:
        UnknownExperiment: there is none; the message names the nearest id, or what was found instead.
    """
    name, path = str(id_or_path), Path(id_or_path)
    experiments = (
        load_settings().experiments_dir if workdir is None else Workdir(Path(workdir)).experiments_dir
    )
    # Try an id first: a folder of the same name in the current directory must not stand in for the experiment.
    if experiment_id_problem(name) is None and ExperimentDir(experiments, name).document.is_file():
        return Experiment(ExperimentDir(experiments, name))
    if (path / DOCUMENT).is_file():
        return Experiment(ExperimentDir(path.resolve().parent, path.resolve().name))
    # Deferred: it loads SQLAlchemy, a sixth of a second that an experiment which is there does not need.
    from proteinx_pipelines.services.lookup import unknown_experiment

    known = ExperimentDir.known_ids(experiments)
    raise unknown_experiment(
        name,
        known,
        where=f": it is neither the id of an experiment in {experiments} nor an experiment's directory",
    )


def newest_experiment(workdir: str | os.PathLike[str] | None = None) -> "Experiment":
    """The experiment that has succeeded last.

    Raises:
        UnknownExperiment: none has.
    """
    experiments = (
        load_settings().experiments_dir if workdir is None else Workdir(Path(workdir)).experiments_dir
    )
    found = [
        Experiment(directory)
        for directory in ExperimentDir.all(experiments)
        if not directory.is_hidden and directory.report_json.is_file() and directory.document.is_file()
    ]
    succeeded = [each for each in found if each.status == "SUCCEEDED"]
    if not succeeded:
        raise UnknownExperiment(
            f"No experiment in {experiments} has succeeded. Run one: proteinx train --payload MY.csv"
        )
    return max(succeeded, key=lambda each: str(each.document["updated_at"]))


def experiments_in_group(group: str, workdir: str | os.PathLike[str] | None = None) -> "list[Experiment]":
    """Finished experiments whose id matches a pattern (`gb1-*`), or whose `ext.group` is this.

    Args:
        group: the pattern, or the group.
        workdir: where to look; that of the settings (`PROTEINX_WORKDIR`) when None.

    Raises:
        InputError: there is none.
    """
    experiments = (
        load_settings().experiments_dir if workdir is None else Workdir(Path(workdir)).experiments_dir
    )
    found = [
        each
        for directory in ExperimentDir.all(experiments)
        if not directory.is_hidden and directory.report_json.is_file()
        if fnmatch.fnmatchcase((each := Experiment(directory)).id, group)
        or each.flags.ext.get("group") == group
    ]
    if not found:
        raise InputError(
            f"No finished experiment belongs to the group {group!r}: none has an id like it, or `ext.group` {group!r}. "
            "`proteinx list` shows what there is."
        )
    return found


class Experiment:
    """One experiment, read lazily. Parts of stages that have not finished raise `MissingArtifact`."""

    def __init__(self, directory: ExperimentDir) -> None:
        self.directory = directory

    @property
    def id(self) -> str:
        """The experiment's id."""
        return self.directory.experiment_id

    @cached_property
    def document(self) -> dict[str, Any]:
        """`experiment.json`: status, times, generation, index of files."""
        return dict(read_json(self.directory.document))

    @property
    def status(self) -> str:
        """`SUCCEEDED`, `FAILED`, ..., as last written."""
        return str(self.document.get("status", "UNKNOWN"))

    @cached_property
    def flags(self) -> ExperimentFlags:
        """The flags of the current generation, defaults filled in."""
        return parse_flags(self._existing(self.directory.flags).read_bytes())

    @cached_property
    def summary(self) -> dict[str, float | None]:
        """Headline metrics, names like `test/spearman`; None where a metric is undefined."""
        return dict(self.report["summary"])

    @cached_property
    def report(self) -> dict[str, Any]:
        """`artifacts/report.json`: every number of the report."""
        return dict(read_json(self._existing(self.directory.report_json)))

    def predict(self, variants: "Sequence[str]", source: str | None = None) -> "pd.DataFrame":
        """Predict mutants or sequences with the model of all labelled rows; one row each, in the order given.

        Args:
            variants: mutants in the source's numbering (`A24C:D40G`), or whole sequences.
            source: the one that they are variants of, where the experiment has several.

        Returns:
            Columns `mutant`, `sequence`, `prediction`, `deviation`, `low`, `high` (95 % interval; all four in the
            unit of the target), `p_better_than_wild_type`, `p_better_than_best`, `mut_num`, `new_positions`,
            `nearest`, `remarks`.

        Raises:
            BadVariants: a variant cannot be read or does not fit; the first of them are named.
            MissingArtifact: the experiment has not finished its training.
        """
        from proteinx_pipelines.execution.designing import Asked, predict

        named = [variants] if isinstance(variants, str) else list(variants)
        frame: pd.DataFrame = predict(
            self._settings(), self.directory, Asked(mutants=named), source
        ).to_pandas()
        return frame

    def propose(self, n: int = 96, library: str = "singles", **design: Any) -> "pd.DataFrame":
        """Propose variants to make next, best first.

        Flags of the experiment's own design do not hold here; those that nothing reads beside the others are named in
        a warning, and so is what there is less of than was asked for.

        Args:
            n: number of variants.
            library: those to choose from, `design.library`: `singles`, `doubles`, `recombine`, ...
            design: further flags of `design.*`, such as `acquisition="ucb"`.

        Returns:
            At most `n` rows with the columns of `predict`, and `rank`, `well`, `acquisition`, `stability`, `reason`.

        Raises:
            FlagError: a flag has an unusable value.
            EmptySelection: no variant is left to propose.
        """
        from proteinx_pipelines.execution.designing import design_flags, propose
        from proteinx_pipelines.flags.design_reading import design_in_words, unread_of_design

        chosen = design_flags(self.directory, {"library": library, "n": n, **design})
        if note := design_in_words(unread_of_design(chosen)):
            warnings.warn(note, stacklevel=2)
        table, notes = propose(self._settings(), self.directory, chosen)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def _settings(self) -> "Settings":
        """Settings of the WORKDIR that the experiment lies in."""
        root = self.directory.root.parent.parent
        return load_settings(environment={**os.environ, "PROTEINX_WORKDIR": str(root)})

    @cached_property
    def figures(self) -> "list[Figure]":
        """The report's pictures, in order; a notebook shows each of them. `plot` returns one by name."""
        from proteinx_pipelines.pages.figures.files import pictures_of

        return pictures_of(self._existing(self.directory.figures).read_bytes())

    @property
    def plot(self) -> "Plots":
        """One picture: `plot.scatter()`, `plot.map()`, `plot.calibration()`, ... `plot.names` lists them."""
        return Plots(self.figures)

    @property
    def report_path(self) -> Path:
        """Path of the HTML report."""
        return self._existing(self.directory.report_html)

    @cached_property
    def variants(self) -> "pd.DataFrame":
        """N rows: id, source, mutant, sequence, target, DMS_score, mut_num, n_merged and derived columns."""
        return self._frame(self.directory.variants)

    @cached_property
    def variant_table(self) -> VariantTable:
        """The variants as the stages read them, with templates."""
        return self._record("transform", VariantTable)

    @cached_property
    def embedding(self) -> Embedding:
        """Vectors (or one-hot tokens) of the N variants, memory-mapped; `dense(rows)` gives float32 [rows, D]."""
        return self._record("embedding", Embedding)

    @cached_property
    def splits(self) -> "pd.DataFrame":
        """N rows: id, `part` (or `fold_0`, `fold_1`, ...) and the reason for the row's part."""
        return self._frame(self.directory.assignment)

    @cached_property
    def split(self) -> Split:
        """The split as row indices: `split.folds[0].train` indexes `variants`."""
        return self._record("split", Split)

    @cached_property
    def training(self) -> Training:
        """The record of the training: models, folds, epochs, what was chosen on left-out rows."""
        return self._record("train", Training)

    @cached_property
    def models(self) -> "list[FittedModel]":
        """One trained model per fold: `models[0].predict(experiment.embedding, rows)`."""
        from proteinx_pipelines.stages.train.export import load_model

        return [load_model(folder) for folder in self.training.model_dirs]

    @cached_property
    def predictions(self) -> "pd.DataFrame":
        """id, mutant, target, prediction, fold and part; out of fold for cross-validation.

        `mutant` is in the users' numbering; where that differs from the template's, `template_mutant` follows.
        """
        return self._frame(self.directory.predictions)

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """Values in `metrics/metrics.jsonl`: name, value, step, epoch, fold, generation, attempt and time.

        Covers every generation, oldest first; `metrics[metrics.generation == experiment.document["generation"]]`
        selects the last one, unless it took its training from an earlier one.
        """
        import pandas as pd

        lines = read_json_lines(self._existing(self.directory.metrics))
        return pd.DataFrame([line for line in lines if "value" in line], columns=list(_METRIC_COLUMNS))

    def __repr__(self) -> str:
        lines = [f"Experiment {self.id!r} ({self.status}, generation {self.document.get('generation', '?')})"]
        if self.directory.report_json.is_file():
            sizes = self.report["split"]["sizes"]
            lines.append(f"  {self.report['experiment']['title']}: {self.report['split']['words']}")
            lines.append(f"  {self.report['data']['n_variants']:,} variants, {len(sizes)} model(s)")
            lines += [f"  {name} {value:.3f}" for name, value in self.summary.items() if value is not None]
        lines.append(f"  {self.directory.root}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Notebook representation: conclusion, metrics and scatter plot."""
        from proteinx_pipelines.pages.notebook import experiment_html

        report = self.report if self.directory.report_json.is_file() else None
        scatter = (
            [figure for figure in self.figures if figure.name == "scatter"]
            if self.directory.figures.is_file()
            else []
        )
        return experiment_html(self.id, self.status, report, scatter)

    def _record(self, stage: str, kind: type[Record]) -> Record:
        codec = importlib.import_module(f"proteinx_pipelines.experiment_dir.codecs.{stage}")
        try:
            record = codec.load(self.directory)
        except MissingArtifact as error:
            raise MissingArtifact(f"{error} ({self._standing()})") from error
        assert isinstance(record, kind)
        return record

    def _frame(self, path: Path) -> "pd.DataFrame":
        frame: pd.DataFrame = read_parquet(self._existing(path)).to_pandas()
        return frame

    def _existing(self, path: Path) -> Path:
        if not path.is_file():
            name = path.relative_to(self.directory.root).as_posix()
            raise MissingArtifact(f"{name} of experiment {self.id} is not there: {self._standing()}.")
        return path

    def _standing(self) -> str:
        finished = [stage for stage, action in self.document.get("stages", {}).items() if action]
        return f"the experiment is {self.status}; finished stages: {', '.join(finished) or 'none'}"


class Plots:
    """The pictures of one experiment as methods: `experiment.plot.scatter()`."""

    def __init__(self, figures: "list[Figure]") -> None:
        self._figures = {figure.name: figure for figure in figures}

    @property
    def names(self) -> list[str]:
        """Available pictures."""
        return list(self._figures)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._figures]

    def map(self) -> "Figure":
        """Map of position by residue."""
        return self._named("mutations")

    def __getattr__(self, name: str) -> "Callable[[], Figure]":
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda: self._named(name)

    def _named(self, name: str) -> "Figure":
        if name not in self._figures:
            raise MissingArtifact(
                f"This experiment's report has no picture {name!r}; it has {', '.join(self._figures) or 'none'}. "
                "Pictures are drawn with `evaluate.plots` true, each where the experiment has what it shows."
            )
        return self._figures[name]
