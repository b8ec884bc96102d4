"""Four nodes with WORKDIRs of their own, a Master, Redis and an S3 server: nodes go, come and lose their disks.

The store goes away, becomes slow, full, and answers with wrong bytes. At the end every job has one result, and every
file of every experiment is in the store as its index says.
"""

import hashlib
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact, UnknownExperiment
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.experiments import get_files, sent_document
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines_tests.chaos.master_campaign import JoinedNode, MasterCampaign
from proteinx_pipelines_tests.object_servers import ObjectServer, Proxy

CACHE_GB = 0.02
"""Bound of each node's cache of fetched files."""
SETTLE_S = 180.0
"""Most seconds after the last result until everything has been sent."""


def wrong_bytes(method: str, path: str, content: bytes) -> bytes:
    """A server that flips a bit of what it stores."""
    if method == "GET" and "/objects/" in path and content:
        return bytes([content[0] ^ 1]) + content[1:]
    return content


@dataclass(kw_only=True)
class FleetCampaign(MasterCampaign):
    """The Master's campaign without people, with faults of nodes and of the store."""

    s3: ObjectServer
    proxy: Proxy
    blobs: BlobStore
    away_s: float
    """Seconds that a fault of the store lasts."""
    add: Callable[[], JoinedNode]
    """Makes one more node, which is not started."""
    _store_ends: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    # ------------------------------------------------------------------ faults
    def _change_something(self, chance: random.Random) -> None:
        self._end_store_faults()

    def _bring_back(self) -> None:
        self._end_store_faults(at_once=all(at <= 0.0 for at in self.back_at.values()) and self._is_over())
        super()._bring_back()

    def _is_over(self) -> bool:
        return len(self.expected) >= self.jobs and self.killed.total() >= self.kills

    def _kill(self, chance: random.Random) -> None:
        what = chance.choice(["kill", "wipe", "add", "away", "slow", "full", "wrong"])
        if what in ("away", "slow", "full", "wrong"):
            self._spoil_store(what)
        elif what == "add":
            if len(self.nodes) > 5:
                return
            node = self.add()
            self.nodes.append(node)
            node.begin()
        else:
            node = chance.choice(self.nodes)
            if node.process is None:
                return
            # A disk that goes with unsent files takes them along; that is told in the documentation, and not a fault.
            if what == "wipe" and _waits(node):
                return
            node.kill()
            if what == "wipe":
                _wipe(node)
            self.back_at[node.name] = time.monotonic() + chance.choice([0.0, 5.0, 40.0])
        self.killed[what] += 1

    def _spoil_store(self, what: str) -> None:
        if self._store_ends:
            return
        if what == "away":
            self.s3.pause()
        elif what == "slow":
            self.proxy.delay_s = 2.0
        elif what == "full":
            self.proxy.refuse_puts = True
        else:
            self.proxy.spoil = wrong_bytes
        self._store_ends.append((time.monotonic() + self.away_s, self._mend_store))

    def _mend_store(self) -> None:
        self.s3.go_on()
        self.proxy.delay_s, self.proxy.refuse_puts, self.proxy.spoil = 0.0, False, None

    def _end_store_faults(self, *, at_once: bool = False) -> None:
        for entry in list(self._store_ends):
            if at_once or entry[0] <= time.monotonic():
                self._store_ends.remove(entry)
                entry[1]()

    # ------------------------------------------------------------------ conditions
    def _problems(self) -> list[str]:
        self._end_store_faults(at_once=True)
        return [
            *super()._problems(),
            *self._unsent(),
            *self._wrong_objects(),
            *self._wrong_files(),
            *self._caches(),
        ]

    def _unsent(self) -> list[str]:
        ends_at = time.monotonic() + SETTLE_S
        while time.monotonic() < ends_at and any(_waits(node) for node in self.nodes):
            self._bring_back()
            time.sleep(1.0)
        return [f"{node.name} has not sent {_waits(node)}" for node in self.nodes if _waits(node)]

    def _wrong_objects(self) -> list[str]:
        found = [path for path in (self.s3.folder / "objects").iterdir() if len(path.name) == 64]
        self.say(
            f"{len(found)} objects, {sum(path.stat().st_size for path in found) / 1e6:.1f} MB in the store"
        )
        return [
            f"object {path.name[:12]} has other bytes"
            for path in found
            if hashlib.sha256(path.read_bytes()).hexdigest() != path.name
        ]

    def _wrong_files(self) -> list[str]:
        """Experiments that succeeded and are not whole in the store."""
        problems, n_files = [], 0
        states = dict(self.master.rows("SELECT experiment_id, state FROM jobs"))
        for experiment_id, state in states.items():
            if state != "SUCCEEDED":
                continue
            target = self.master.folder / "fetched-back" / experiment_id
            try:
                document = sent_document(self.blobs, experiment_id)
                n_files += len(list(get_files(self.blobs, document, target)))
            except (UnknownExperiment, CorruptArtifact, OSError) as error:
                problems.append(f"{experiment_id} in the store: {type(error).__name__}: {error}")
            shutil.rmtree(target, ignore_errors=True)
        self.say(
            f"{n_files} files of {sum(state == 'SUCCEEDED' for state in states.values())} experiments are equal"
        )
        return problems

    def _caches(self) -> list[str]:
        problems = []
        for node in self.nodes:
            size = sum(
                path.stat().st_size for path in (node.workdir / "fetched").rglob("*") if path.is_file()
            )
            if size > CACHE_GB * 1e9:
                problems.append(f"{node.name} has {size:,} bytes in its cache")
        return problems


def _waits(node: JoinedNode) -> dict[str, int]:
    """What a node has not sent; empty when nothing waits."""
    counts = Outgoing(Path(node.workdir) / "outgoing").counts()
    return {what: n for what, n in counts.items() if n}


def _wipe(node: JoinedNode) -> None:
    """An empty disk but for the catalog."""
    for path in Path(node.workdir).iterdir():
        if path.name == "database.db":
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
