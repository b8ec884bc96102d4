"""Stages in the shared store: a stage that any machine computed is taken over by any other.

    stages/<stage>/<key>   {"format", "stage", "key", "sha256", "entry"}: the entry, with the digest of its text
    objects/<sha256>       each file of the entry

The files are sent first and the entry last, and a file's name is its digest: two machines that send the same stage at
once, with different files, cannot mix them up. Fetching a stage is given up after the time that computing it
took, so a slow store costs little. A damaged entry is logged and removed, its file is checked again before it is sent
the next time, and the stage is computed here.
"""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.experiment_dir.files import json_text
from proteinx_pipelines.experiment_dir.pipeline_file import entry_text, parse_entry
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.watching import Watch, within
from proteinx_pipelines.files.shared.names import object_name, stage_name
from proteinx_pipelines.files.shared.outgoing import STAGE, USED, Outgoing
from proteinx_pipelines.files.shared.store import SharedStore, put_whole, shared_store
from proteinx_pipelines.flags.tree import sha256_of
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
FORMAT = 1
FETCHED = "fetched"
"""Name below the local store's folder: fetched files that are not in place yet."""
ENTRY_S = 3.0
"""Most seconds to wait for an entry."""
LEAST_FETCH_S = 2.0
"""Seconds that any stage's files may take to fetch, however quickly it was computed."""
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class SharedStages:
    """The stages of the shared store, as one node uses them."""

    store: SharedStore
    outgoing: Outgoing

    def offer(self, stage: str, key: str) -> None:
        """Note that this machine has a stage that others may want; it is sent in the background."""
        self.outgoing.add(STAGE, stage, key)

    def fetch(self, stage: str, key: str, folder: Path, alive: Watch | None = None) -> StageEntry | None:
        """Fetch a stage's files, each hashed on arrival.

        Args:
            stage: its name.
            key: its key.
            folder: the files are put below it.
            alive: called while bytes come; raises when the experiment has to stop.

        Returns:
            Its entry; None when the store has no such stage, has it damaged, or does not answer in time.
        """
        try:
            entry = self.store.ask(lambda blobs: read_shared_entry(blobs, stage, key))
            if entry is None or not self._fetch_files(entry, folder, alive):
                return None
        except FileNotFoundError:
            return None
        except OSError as error:  # a disk that is full holds no stage of another machine
            log.warning("%s %s of the shared store could not be fetched: %s", stage, key[:12], error)
            return None
        except CorruptArtifact as error:
            self._tell(stage, key, error)
            return None
        self.outgoing.add(USED, stage, key)
        return entry

    def _fetch_files(self, entry: StageEntry, folder: Path, alive: Watch | None) -> bool:
        watch = within(max(LEAST_FETCH_S, entry.seconds), alive)

        def fetch(blobs: BlobStore) -> bool:
            for name, fact in entry.files.items():
                digest = str(fact["sha256"])
                try:
                    blobs.get(object_name(digest), folder / name, sha256=digest, watch=watch)
                except CorruptArtifact:
                    self.outgoing.doubt(digest)
                    raise
            return True

        try:
            return bool(self.store.ask(fetch))
        except FileNotFoundError as error:
            raise CorruptArtifact(f"a file of it is not in the store: {error}") from error

    def _tell(self, stage: str, key: str, error: Exception) -> None:
        """Tell about a damaged entry, and remove it, so that it is sent again once it has been computed again."""
        log.warning("%s %s in the shared store is not used and is computed again: %s", stage, key[:12], error)
        self.store.ask(lambda blobs: blobs.remove(stage_name(stage, key)))


def open_shared_stages(settings: Settings) -> SharedStages | None:
    """The shared stages of a node; None where its settings name no store, or one that cannot be opened (logged)."""
    try:
        store = shared_store(settings)
    except BackendError as error:
        log.warning("The shared store is not used: %s", error)
        return None
    return None if store is None else SharedStages(store, Outgoing(settings.paths.outgoing_dir))


def read_shared_entry(blobs: BlobStore, stage: str, key: str) -> StageEntry:
    """Read the entry of a shared stage.

    Raises:
        FileNotFoundError: there is none.
        CorruptArtifact: it is not this stage's, or has other bytes than were sent.
    """
    text = blobs.read(stage_name(stage, key), watch=within(ENTRY_S))
    try:
        found = json.loads(text)
        is_whole = found["format"] == FORMAT and sha256_of(found["entry"]) == found["sha256"]
        entry = parse_entry(json.dumps(found["entry"]).encode()) if is_whole else None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"its entry cannot be read ({type(error).__name__})") from error
    if entry is None or (found["stage"], found["key"], entry.key) != (stage, key, key):
        raise CorruptArtifact("its entry has other bytes than were sent")
    if not all(_DIGEST.fullmatch(str(fact["sha256"])) for fact in entry.files.values()):
        raise CorruptArtifact("its entry has a file without a digest")
    return entry


def send_stage(
    blobs: BlobStore, stage: str, entry: StageEntry, files: Mapping[str, Path], outgoing: Outgoing
) -> int:
    """Send a stage: the files that the store does not have, then the entry.

    Args:
        blobs: of the shared store.
        stage: its name.
        entry: its entry.
        files: name -> file on this machine.
        outgoing: says which objects came wrong: they are sent whatever is there.

    Returns:
        Bytes sent.

    Raises:
        FileNotFoundError: a file of this machine has gone meanwhile.
        BackendError: the store does not answer, or keeps a file in another size.
    """
    sent = 0
    for name, fact in entry.files.items():
        digest, size = str(fact["sha256"]), int(fact["size"])
        wanted = object_name(digest)
        if outgoing.is_doubted(digest) or blobs.size(wanted) != size:
            put_whole(blobs, wanted, files[name], size)
            outgoing.trust(digest)
            sent += size
    document: dict[str, Any] = json.loads(entry_text(entry))
    envelope = {
        "format": FORMAT, "stage": stage, "key": entry.key, "sha256": sha256_of(document), "entry": document,
    }  # fmt: skip
    blobs.write(stage_name(stage, entry.key), json_text(envelope).encode("utf-8"))
    return sent
