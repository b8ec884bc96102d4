"""Paths inside an experiment directory.

No other module joins a path inside `<WORKDIR>/experiments`. Ids that could leave it never become a path:
`experiment_id.check_experiment_id` refuses, it does not repair.
"""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Self

from proteinx_pipelines.errors import PathNotAllowed
from proteinx_pipelines.experiment_id import check_experiment_id

# Files by their names relative to an experiment's root, as documents list them.
DOCUMENT = "experiment.json"
FLAGS = "config/flags.json"
QUERY = "config/data_query.json"
PIPELINE = "config/pipeline.json"
SELECTED = "data/selected.parquet"
VARIANTS = "data/transform/variants.parquet"
ASSIGNMENT = "splits/assignment.parquet"
METRICS = "metrics/metrics.jsonl"
PREDICTIONS = "artifacts/predictions.parquet"
REPORT_HTML = "artifacts/report.html"
REPORT_JSON = "artifacts/report.json"
FIGURES_JSON = "artifacts/plots/figures.json"


def check_file_name(name: str) -> None:
    """Check that a name listed in a document, relative to an experiment's root, stays below the root.

    Raises:
        ValueError: it does not, or is not written as we write names.
    """
    pure = PurePosixPath(name)
    outside = pure.is_absolute() or not pure.parts or ".." in pure.parts
    if outside or pure.as_posix() != name or "\\" in name or ":" in name:
        raise ValueError(f"it lists {name!r}, which is not a file of an experiment")


class ExperimentDir:
    """Paths of one experiment under `<WORKDIR>/experiments/<experiment_id>/`. Creates nothing."""

    def __init__(self, experiments_dir: Path, experiment_id: str) -> None:
        self.experiment_id = check_experiment_id(experiment_id)
        self.root = experiments_dir / self.experiment_id
        if self.root.is_symlink():
            raise PathNotAllowed(
                f"{self.root} is a symbolic link. Remove it: experiments live in real folders."
            )

    @classmethod
    def all(cls, experiments_dir: Path) -> Iterator[Self]:
        """Every folder of experiments, sorted, whatever its name and content; empty where there is no such folder."""
        for root in sorted(experiments_dir.iterdir()) if experiments_dir.is_dir() else ():
            if root.is_dir():
                yield cls._at(root, root.name)

    @classmethod
    def known_ids(cls, experiments_dir: Path) -> list[str]:
        """Ids of the experiments that have an `experiment.json`, sorted."""
        found = cls.all(experiments_dir)
        return [each.experiment_id for each in found if not each.is_hidden and each.document.is_file()]

    @classmethod
    def _at(cls, root: Path, experiment_id: str) -> Self:
        """An existing folder: its own name, or a number, cannot lead out of its parent."""
        directory = cls.__new__(cls)
        directory.experiment_id, directory.root = experiment_id, root
        return directory

    def at_generation(self, generation: int) -> Self:
        """Files kept of an earlier generation, laid out like the experiment itself: `generations/<n>/`."""
        return self._at(self.generation_dir(generation), self.experiment_id)

    def kept_generations(self) -> list[int]:
        """Numbers of the earlier generations with kept files, ascending."""
        folder = self.generation_dir(0).parent
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(int(path.name) for path in found if path.name.isdigit())

    @property
    def is_hidden(self) -> bool:
        """True for a folder that is being made or removed and is not an experiment."""
        return self.experiment_id.startswith(".")

    def path(self, relative: str) -> Path:
        """Absolute path of a file named relative to the experiment's root."""
        return self.root / relative

    def refuse_links(self) -> None:
        """Check that no folder below the root is a symbolic link, by which a write would leave it.

        Raises:
            PathNotAllowed: one is; the message names it. Remove it.
        """
        for folder, names, _ in os.walk(self.root):
            for name in names:
                if (Path(folder) / name).is_symlink():
                    raise PathNotAllowed(
                        f"{Path(folder) / name} is a symbolic link. Remove it: experiments live in real folders."
                    )

    # One property per file or folder that more than one module names.
    @property
    def document(self) -> Path:
        """`experiment.json`."""
        return self.root / DOCUMENT

    @property
    def flags(self) -> Path:
        """`config/flags.json`, the flags of the current generation, nested, defaults written out."""
        return self.root / FLAGS

    @property
    def query(self) -> Path:
        """`config/data_query.json`."""
        return self.root / QUERY

    @property
    def pipeline(self) -> Path:
        """`config/pipeline.json`: for each stage its key, version, origin and files."""
        return self.root / PIPELINE

    @property
    def selected(self) -> Path:
        """`data/selected.parquet`."""
        return self.root / SELECTED

    @property
    def variants(self) -> Path:
        """`data/transform/variants.parquet`."""
        return self.root / VARIANTS

    @property
    def embeddings_dir(self) -> Path:
        """`embeddings/`."""
        return self.root / "embeddings"

    @property
    def splits_dir(self) -> Path:
        """`splits/`."""
        return self.root / "splits"

    @property
    def assignment(self) -> Path:
        """`splits/assignment.parquet`."""
        return self.root / ASSIGNMENT

    @property
    def logs_dir(self) -> Path:
        """`logs/`."""
        return self.root / "logs"

    @property
    def train_log(self) -> Path:
        """`logs/train.log`."""
        return self.logs_dir / "train.log"

    @property
    def train_logs(self) -> tuple[Path, ...]:
        """The log and, if it grew too long, its earlier part: oldest first."""
        return self.logs_dir / f"{self.train_log.name}.1", self.train_log

    @property
    def processes_log(self) -> Path:
        """`logs/train_processes.log`: standard error of the processes of a distributed training."""
        return self.logs_dir / "train_processes.log"

    @property
    def events_dir(self) -> Path:
        """`logs/events/`."""
        return self.logs_dir / "events"

    def events(self, generation: int, attempt: int) -> Path:
        """`logs/events/g<generation>-a<attempt>.jsonl`: events of one attempt."""
        return self.events_dir / f"g{generation}-a{attempt}.jsonl"

    @property
    def metrics(self) -> Path:
        """`metrics/metrics.jsonl`."""
        return self.root / METRICS

    @property
    def checkpoints_dir(self) -> Path:
        """`ckpts/`."""
        return self.root / "ckpts"

    @property
    def artifacts_dir(self) -> Path:
        """`artifacts/`."""
        return self.root / "artifacts"

    @property
    def model_dir(self) -> Path:
        """`artifacts/model/`: one `fold_<k>/` per fold."""
        return self.artifacts_dir / "model"

    @property
    def final_model_dir(self) -> Path:
        """`artifacts/model/final/`: the model of all labelled rows."""
        return self.model_dir / "final"

    @property
    def design_dir(self) -> Path:
        """`artifacts/design/`: `predictions.parquet`, `proposals.csv`, `report.json`."""
        return self.artifacts_dir / "design"

    @property
    def shards_dir(self) -> Path:
        """`shards/`: records of finished folds, in an attempt's staging directory only."""
        return self.root / "shards"

    def shard(self, fold: int) -> Path:
        """`shards/fold_<k>.json`: marks a fold as finished and lists its outputs."""
        return self.shards_dir / f"fold_{fold}.json"

    @property
    def predictions(self) -> Path:
        """`artifacts/predictions.parquet`."""
        return self.root / PREDICTIONS

    @property
    def predictions_csv(self) -> Path:
        """`artifacts/predictions.csv`, the same rows as `predictions.parquet`."""
        return self.artifacts_dir / "predictions.csv"

    @property
    def figures(self) -> Path:
        """`artifacts/plots/figures.json`: the report's pictures as data."""
        return self.root / FIGURES_JSON

    @property
    def report_html(self) -> Path:
        """`artifacts/report.html`."""
        return self.root / REPORT_HTML

    @property
    def report_json(self) -> Path:
        """`artifacts/report.json`."""
        return self.root / REPORT_JSON

    def generation_dir(self, generation: int) -> Path:
        """`generations/<n>/`: metrics and report of an earlier generation."""
        return self.root / "generations" / str(generation)
