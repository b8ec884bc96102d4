"""References from experiments to stored stages and vectors, which housekeeping must keep.

Read from the `pipeline.json` of every experiment and of its earlier generations, and the plans of generations that have
not ended. An unreadable one is an error and not an empty answer: nothing is removed then.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import FORMAT, pipeline_of
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.pipeline.entries import PipelineFile, StageEntry
from proteinx_pipelines.settings import Settings

_ALL = 1_000_000


@dataclass
class References:
    """Experiments that refer to stored items."""

    stages: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    """(stage, key) -> experiments."""
    policies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Folder of the sequence store -> experiments."""
    rows: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Digest of selected rows -> experiments."""

    def add(self, experiment_id: str, stage: str, entry: StageEntry) -> None:
        """Note that an experiment has this stage."""
        self.stages[stage, entry.key].add(experiment_id)
        if "sequence_policy" in entry.details:
            self.policies[str(entry.details["sequence_policy"])].add(experiment_id)
        if "rows" in entry.inputs:
            self.rows[entry.inputs["rows"]].add(experiment_id)


def find_references(settings: Settings) -> References:
    """Find all references of this WORKDIR's experiments.

    Raises:
        CorruptArtifact: a `pipeline.json` cannot be read; the message names it.
    """
    found = References()
    for directory in ExperimentDir.all(settings.experiments_dir):
        for pipeline in _pipelines(directory):
            for stage, entry in pipeline.stages.items():
                found.add(directory.experiment_id, stage, entry)
    if settings.state_path.is_file():
        for current in Ledger(settings.state_path).in_state("PENDING", "RUNNING", limit=_ALL):
            for stage, planned in (current.plan or {}).items():
                if planned["key"]:
                    found.stages[stage, planned["key"]].add(current.experiment_id)
    return found


def _pipelines(directory: ExperimentDir) -> list[PipelineFile]:
    """What an experiment and its kept generations say; looked at again when a file has gone or moved meanwhile."""
    while True:
        generations = (directory, *map(directory.at_generation, directory.kept_generations()))
        try:
            return [_read(each.pipeline) for each in generations if each.pipeline.is_file()]
        except FileNotFoundError:
            continue


def _read(path: Path) -> PipelineFile:
    try:
        document = read_json(path)
        if document["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return pipeline_of(document, path)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(
            f"{path} cannot be read ({error}), so it is not known which stored stages it needs; nothing was "
            "removed. Repair the file, or remove the experiment with `proteinx experiment rm`."
        ) from error
