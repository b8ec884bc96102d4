"""Sends what waits in `<WORKDIR>/outgoing/` to the shared store: stages, vectors, files of ended experiments.

It runs beside the experiments, and none waits for it. What cannot be sent stays on the list and is tried again; what
was removed from this machine meanwhile is dropped from the list.
"""

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.execution.ended_experiments import send_experiment
from proteinx_pipelines.execution.kept_entries import entry_files
from proteinx_pipelines.execution.shared_stages import send_stage
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.execution.store_contents import stored_stages
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.archives import send_archive
from proteinx_pipelines.files.shared.names import policy_folder, stage_name
from proteinx_pipelines.files.shared.outgoing import ARCHIVED, SHARD, STAGE, USED, Note, Outgoing
from proteinx_pipelines.pipeline.stages import STAGES as PIPELINE
from proteinx_pipelines.stages.embedding.sequence_store import MERGED_BYTES
from proteinx_pipelines.stages.embedding.shards import SUFFIX, Shard, open_shard, write_shard
from proteinx_pipelines.stages.embedding.shared_vectors import KEYS, send_shard
from proteinx_pipelines.workdir import Workdir

log = logging.getLogger(__name__)


@dataclass
class Sender:
    """Sends what waits in one WORKDIR."""

    blobs: BlobStore
    """The shared store, opened for patient use."""
    store: StageStore
    outgoing: Outgoing
    bytes_sent: int = 0
    keeps_going: Callable[[], bool] = lambda: True
    """Asked between two things."""
    _sent: int = field(default=0, init=False)

    def send_all(self) -> int:
        """Send everything that waits; stages first, since other machines may need them now.

        Returns:
            Number of things that were sent.

        Raises:
            BackendError: the store does not answer; what was not sent still waits.
        """
        before = self._sent
        for work in (self._stages, self._shards, self._experiments, self._archives, self._used):
            for _ in work():
                self._sent += 1
                if not self.keeps_going():
                    return self._sent - before
        return self._sent - before

    def _stages(self) -> Iterator[None]:
        for note in self.outgoing.notes(STAGE):
            entry = self.store.lookup(note.first, note.second)
            if entry is not None:
                files = entry_files(self.store.root, note.first, entry)
                with contextlib.suppress(FileNotFoundError):  # collected meanwhile
                    self.bytes_sent += send_stage(self.blobs, note.first, entry, files, self.outgoing)
            self.outgoing.done(note.kind, note.first, note.second)
            yield

    def _shards(self) -> Iterator[None]:
        """Send the waiting shards of a policy as one where they are small: other machines ask for each."""
        notes = sorted(self.outgoing.notes(SHARD), key=lambda note: note.first)
        for policy, group in groupby(notes, key=lambda note: note.first):
            waiting = list(group)
            found = [(note, shard) for note in waiting if (shard := self._shard(note)) is not None]
            for batch in _batches(found):
                self.bytes_sent += self._send_shards(policy, [shard for _, shard in batch])
                for note, _ in batch:
                    self.outgoing.done(note.kind, note.first, note.second)
                yield
            for note in waiting:
                if note not in [each for each, _ in found]:
                    self.outgoing.done(note.kind, note.first, note.second)

    def _shard(self, note: Note) -> Shard | None:
        try:
            shard = open_shard(self.store.sequences_dir / note.first / f"{note.second}{SUFFIX}")
        except (FileNotFoundError, CorruptArtifact):
            return None
        return shard if shard.is_intact else None

    def _send_shards(self, policy: str, shards: Sequence[Shard]) -> int:
        if len(shards) == 1:
            return send_shard(self.blobs, policy, shards[0])
        with tempfile.TemporaryDirectory(prefix="proteinx-shards-") as folder:
            return send_shard(self.blobs, policy, open_shard(write_shard(Path(folder), shards)))

    def _experiments(self) -> Iterator[None]:
        for experiment_id, generation, folder in self.outgoing.experiments():
            for n_bytes in send_experiment(self.blobs, experiment_id, generation, folder):
                self.bytes_sent += n_bytes
                yield
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another generation waits
                folder.parent.rmdir()

    def _archives(self) -> Iterator[None]:
        workdir = Workdir(self.store.root.parent)
        for note in self.outgoing.notes(ARCHIVED):
            with contextlib.suppress(FileNotFoundError):  # restored, or moved away
                self.bytes_sent += send_archive(
                    self.blobs, note.first, int(note.second), workdir.archive(note.first)
                )
            self.outgoing.done(note.kind, note.first, note.second)
            yield

    def _used(self) -> Iterator[None]:
        """Write entries again that were taken over: their time is what eviction goes by."""
        for note in self.outgoing.notes(USED):
            name = (
                stage_name(note.first, note.second)
                if note.first in PIPELINE
                else f"{policy_folder(note.first)}/{note.second}{KEYS}"
            )
            with contextlib.suppress(FileNotFoundError):
                self.blobs.write(name, self.blobs.read(name))
            self.outgoing.done(note.kind, note.first, note.second)
            yield


def _batches(found: Sequence[tuple[Note, Shard]]) -> Iterator[list[tuple[Note, Shard]]]:
    """Shards that together are not larger than a merged one."""
    batch: list[tuple[Note, Shard]] = []
    for note, shard in found:
        if batch and sum(each.n_bytes for _, each in batch) + shard.n_bytes > MERGED_BYTES:
            yield batch
            batch = []
        batch.append((note, shard))
    if batch:
        yield batch


def offer_contents(store: StageStore, outgoing: Outgoing) -> None:
    """Note every stage and every shard of this machine, to be sent if the shared store lacks it."""
    for stored in stored_stages(store):
        outgoing.add(STAGE, stored.stage, stored.key)
    for path in sorted(store.sequences_dir.glob(f"*/*{SUFFIX}")):
        outgoing.add(SHARD, path.parent.name, path.stem)
