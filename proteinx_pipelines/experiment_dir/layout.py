"""Every path of an experiment directory.

No other module joins a path inside `<WORKDIR>/experiments`. Ids that could leave it never become a path:
`experiment_id.check_experiment_id` refuses, it does not repair.
"""

import os
from pathlib import Path, PurePosixPath

from proteinx_pipelines.errors import PathNotAllowed
from proteinx_pipelines.experiment_id import check_experiment_id


def check_file_name(name: str) -> None:
    """Check that a name that a document lists, relative to an experiment's root, stays below it.

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
        return self.root / "experiment.json"

    @property
    def flags(self) -> Path:
        """`config/flags.json`, the flags of the current generation, nested, defaults written out."""
        return self.root / "config" / "flags.json"

    @property
    def query(self) -> Path:
        """`config/data_query.json`."""
        return self.root / "config" / "data_query.json"

    @property
    def pipeline(self) -> Path:
        """`config/pipeline.json`: for each stage its key, version, origin and files."""
        return self.root / "config" / "pipeline.json"

    @property
    def selected(self) -> Path:
        """`data/selected.parquet`."""
        return self.root / "data" / "selected.parquet"

    @property
    def variants(self) -> Path:
        """`data/transform/variants.parquet`."""
        return self.root / "data" / "transform" / "variants.parquet"

    @property
    def embeddings_dir(self) -> Path:
        """`embeddings/`."""
        return self.root / "embeddings"

    @property
    def splits_dir(self) -> Path:
        """`splits/`."""
        return self.root / "splits"

    @property
    def train_log(self) -> Path:
        """`logs/train.log`."""
        return self.root / "logs" / "train.log"

    @property
    def events_dir(self) -> Path:
        """`logs/events/`."""
        return self.root / "logs" / "events"

    @property
    def metrics(self) -> Path:
        """`metrics/metrics.jsonl`."""
        return self.root / "metrics" / "metrics.jsonl"

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
    def predictions(self) -> Path:
        """`artifacts/predictions.parquet`."""
        return self.artifacts_dir / "predictions.parquet"

    @property
    def report_html(self) -> Path:
        """`artifacts/report.html`."""
        return self.artifacts_dir / "report.html"

    @property
    def report_json(self) -> Path:
        """`artifacts/report.json`."""
        return self.artifacts_dir / "report.json"

    def generation_dir(self, generation: int) -> Path:
        """`generations/<n>/`: metrics and report of an earlier generation."""
        return self.root / "generations" / str(generation)
