"""Spread of a stage: a pool of workers, and the finished shards as entries of the stage store.

    shard/<key>   files of one shard; the key is over the key of its stage, its kind and its label

As any entry, it is verified when it is taken over, sent to the shared store in the background, and found from every
node: a killed scheduler, node or attempt costs the shards that were not finished.
"""

import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.execution.code_facts import code_facts
from proteinx_pipelines.execution.shards.opening import shard_pool
from proteinx_pipelines.execution.stages import versions
from proteinx_pipelines.execution.store import SHARD, StageStore
from proteinx_pipelines.experiment_dir.files import write_bytes
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import sha256_of
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.plan import COMPUTED
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.spreading import Files, ShardWork

log = logging.getLogger(__name__)
_MANY = 1000
FORMAT = "1"
"""Raised when the files of a shard mean something else."""


@dataclass(frozen=True)
class KeptSpread:
    """A `spreading.Spread` whose finished shards are in the stage store."""

    settings: Settings
    store: StageStore
    n_shards: int
    of: str
    """Key of what the shards are parts of."""
    experiment_id: str = ""
    generation: int = 0

    def compute(
        self, work: ShardWork[Any], tasks: Sequence[Any], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Files]]:
        """Compute all shards; see `spreading.Spread`."""
        keys = [
            sha256_of({"format": FORMAT, "of": self.of, "kind": work.kind, "label": dict(work.label(task))})
            for task in tasks
        ]
        missing, n_taken = [], 0
        for number, key in enumerate(keys):
            if (found := self._taken(key, partial(_told, alive, n_taken))) is None:
                missing.append(number)
                continue
            yield number, found
            n_taken += 1
        if n_taken:
            log.info("%d of %d shards (%s) were finished before.", n_taken, len(tasks), work.kind)
        if not missing:
            return
        began = time.monotonic()
        with shard_pool(self.settings, min(self.n_shards, len(missing))) as pool:
            chosen = [tasks[number] for number in missing]
            for place, files in pool.compute(work, chosen, lambda done: alive(n_taken + done)):
                number = missing[place]
                self._keep(keys[number], work, tasks[number], files, time.monotonic() - began)
                yield number, files

    def _taken(self, key: str, alive: Callable[[int], None]) -> Files | None:
        """Files of a finished shard, every byte checked; None when it has to be computed."""
        entry = self.store.verified(SHARD, key, alive)
        if entry is None:
            return None
        found = {name: self.store.file(SHARD, key, name) for name in entry.files}
        try:
            return {name: path.read_bytes() for name, path in found.items() if path is not None}
        except FileNotFoundError:  # housekeeping has just collected it
            return None

    def _keep(self, key: str, work: ShardWork[Any], task: Any, files: Files, seconds: float) -> None:
        self.store.root.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".shard-", dir=self.store.root))
        try:
            directory = ExperimentDir(scratch, "shard")
            facts = {}
            for name, content in files.items():
                if name.startswith(work.passing):
                    continue
                write_bytes(directory.path(name), content)
                facts[name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            listing = "\n".join(f"{name} {fact['sha256']}" for name, fact in sorted(facts.items()))
            entry = StageEntry(
                key=key, version=FORMAT, flags={}, inputs={"of": self.of},
                digests={"all": hashlib.sha256(listing.encode("utf-8")).hexdigest()}, files=facts,
                action=COMPUTED, origin={
                    "experiment_id": self.experiment_id, "generation": self.generation,
                    "finished_at": timestamp(),
                },
                seconds=round(seconds, 3), details={"kind": work.kind, **work.label(task)}, code=code_facts(),
            )  # fmt: skip
            self.store.put(SHARD, entry, directory)
        except OSError as error:  # a disk that is full keeps the result and loses the memory of it
            log.warning("A finished shard could not be kept: %s", error)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _told(alive: Callable[[int], None], done: int, _n_bytes: int) -> None:
    alive(done)


def cluster_spread(settings: Settings, of: str) -> KeptSpread | None:
    """The spread of a command: the cluster of the setting `dask`; None without one.

    Args:
        settings: of the node.
        of: what the shards are parts of, for their keys; a benchmark's name.
    """
    if settings.dask is None:
        return None
    key = sha256_of({"of": of, "stages": versions()})
    return KeptSpread(settings, StageStore.of(settings), _MANY, key)
