"""What waits to be sent to the shared store: `<WORKDIR>/outgoing/`. Notes survive a crash; who sends is another's.

    stages/<stage>-<key>           a stage of the local store
    shards/<policy>-<sha256>       a shard of vectors of the local store
    used/<as above>                what was taken over: its time of last use is renewed
    archives/<id>-<generation>     an archive of this WORKDIR
    doubted/<sha256>               an object that came with other bytes: it is sent again, whatever is there
    experiments/<id>/<generation>/ links to the files of an ended experiment; each goes when it has been sent

A note is an empty file: writing one takes a fraction of a millisecond and no disk write is waited for. After a power
loss a note may be missing, which costs another machine the saving.
"""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX

STAGE, SHARD, USED, DOUBTED, ARCHIVED = "stages", "shards", "used", "doubted", "archives"
_EXPERIMENTS = "experiments"


@dataclass(frozen=True)
class Note:
    """One thing that waits to be sent."""

    kind: str
    first: str
    """Stage, or policy."""
    second: str
    """Key, or digest."""
    path: Path


@dataclass(frozen=True)
class Outgoing:
    """The notes of one WORKDIR."""

    root: Path

    def add(self, kind: str, first: str, second: str) -> None:
        """Note something; a disk that is full loses the note, and another machine the saving."""
        path = self._path(kind, first, second)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def has(self, kind: str, first: str, second: str) -> bool:
        """True if this waits."""
        return self._path(kind, first, second).is_file()

    def doubt(self, sha256: str) -> None:
        """Note that an object came with other bytes."""
        self.add(DOUBTED, "object", sha256)

    def is_doubted(self, sha256: str) -> bool:
        """True if this object came with other bytes and has not been sent since."""
        return self.has(DOUBTED, "object", sha256)

    def trust(self, sha256: str) -> None:
        """Note that an object has been sent again."""
        self.done(DOUBTED, "object", sha256)

    def done(self, kind: str, first: str, second: str) -> None:
        """Remove a note."""
        self._path(kind, first, second).unlink(missing_ok=True)

    def notes(self, kind: str) -> list[Note]:
        """What waits, oldest first."""
        found = []
        folder = self.root / kind
        for path in folder.iterdir() if folder.is_dir() else ():
            first, _, second = path.name.rpartition("-")
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime, Note(kind, first, second, path)))
        return [note for _, note in sorted(found, key=lambda pair: pair[0])]

    def experiment_dir(self, experiment_id: str, generation: int) -> Path:
        """Folder of an ended experiment's files that have not been sent."""
        return self.experiments_dir / experiment_id / str(generation)

    @property
    def experiments_dir(self) -> Path:
        """Folder of the experiments that wait."""
        return self.root / _EXPERIMENTS

    def experiments(self) -> Iterator[tuple[str, int, Path]]:
        """Id, generation and folder of the experiments that wait, oldest first."""
        folders = [path for path in self.experiments_dir.glob("*/*") if path.name.isdigit()]
        ages = []
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                ages.append((folder.stat().st_mtime, folder))
        yield from ((path.parent.name, int(path.name), path) for _, path in sorted(ages))

    def forget_experiment(self, experiment_id: str) -> None:
        """Drop the files of an experiment that was removed before they were sent."""
        shutil.rmtree(self.experiments_dir / experiment_id, ignore_errors=True)

    def counts(self) -> dict[str, int]:
        """Number of waiting things by kind."""
        found = {kind: len(self.notes(kind)) for kind in (STAGE, SHARD, ARCHIVED)}
        return {**found, _EXPERIMENTS: sum(1 for _ in self.experiments())}

    def _path(self, kind: str, first: str, second: str) -> Path:
        return self.root / kind / f"{first}-{second}"


def building_name(name: str) -> str:
    """Name of a folder that is being filled; housekeeping removes old ones."""
    return f".{name}{PARTIAL_SUFFIX}"
