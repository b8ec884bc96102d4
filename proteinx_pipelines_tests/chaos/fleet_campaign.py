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
from proteinx_pipelines.files.fetched import FetchedFiles
from proteinx_pipelines.files.shared.experiments import get_files, sent_document
from proteinx_pipelines.files.shared.outgoing import Outgoing
from proteinx_pipelines_tests.chaos.master_campaign import LEASE_S, JoinedNode, MasterCampaign
from proteinx_pipelines_tests.object_servers import ObjectServer, Proxy

CACHE_GB = 0.02
"""Bound of each node's cache of fetched files."""
LEAST_NODES, MOST_NODES = 3, 6
"""Nodes that stay when one is removed, and above which none is added."""
OF_THE_STORE = ("away", "slow", "full", "wrong")
KINDS = ("kill", "wipe", "add", "remove", *OF_THE_STORE)
"""A node killed, killed with its disk, a new one, one drained and stopped; faults of the store, one at a time."""
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
    payload: str
    """Reference of the catalog in the store; some jobs name it instead of the node's own."""
    away_s: float
    """Seconds that a fault of the store lasts."""
    add: Callable[[], JoinedNode]
    """Makes one more node, which is not started."""
    _kinds: list[str] = field(default_factory=list)
    """Kinds of faults that come before any comes again, in their order."""
    _leaving: set[str] = field(default_factory=set)
    """Nodes that are drained, and stopped when they have nothing to do."""
    _left: list[str] = field(default_factory=list)
    _store_ends: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def _more(self, k: int) -> dict[str, str]:
        return {"payload_ref": self.payload} if k % 6 == 0 else {}

    # ------------------------------------------------------------------ faults
    def _change_something(self, chance: random.Random) -> None:
        self._end_store_faults()

    def _bring_back(self) -> None:
        self._end_store_faults(at_once=all(at <= 0.0 for at in self.back_at.values()) and self._is_over())
        super()._bring_back()
        self._let_go()

    def _is_over(self) -> bool:
        return len(self.expected) >= self.jobs and self.killed.total() >= self.kills

    def _kill(self, chance: random.Random) -> None:
        """The next kind that is possible now; none may be, for a moment."""
        self._kinds = self._kinds or chance.sample(KINDS, len(KINDS))
        for what in self._kinds:
            if self._strike(what, chance):
                self._kinds.remove(what)
                self.killed[what] += 1
                self.say(f"fault: {what}")
                return

    def _strike(self, what: str, chance: random.Random) -> bool:
        if what in OF_THE_STORE:
            return self._spoil_store(what)
        staying = [node for node in self.nodes if node.name not in self._leaving]
        if what == "add":
            if len(staying) < MOST_NODES:
                self.nodes.append(self.add())
                self.nodes[-1].begin()
            return len(staying) < MOST_NODES
        living = [node for node in staying if node.process is not None]
        if what == "remove":
            if len(staying) > LEAST_NODES and living:
                self._leaving.add(name := chance.choice(living).name)
                self._ask("POST", f"/nodes/{name}/drain")
            return len(staying) > LEAST_NODES and bool(living)
        # A disk that goes with unsent files takes them along; that is told in the documentation, and not a fault.
        candidates = [node for node in living if what != "wipe" or not _waits(node)]
        return bool(candidates) and self._end(chance.choice(candidates), what, chance)

    def _end(self, node: JoinedNode, what: str, chance: random.Random) -> bool:
        """Kill a node, with its disk or without; false where something has come up meanwhile that has to be sent."""
        node.kill()
        self.back_at[node.name] = time.monotonic() + chance.choice([0.0, 5.0, LEASE_S + 10.0])
        if what == "wipe" and _waits(node):
            return False
        if what == "wipe":
            _wipe(node)
        return True

    def _let_go(self) -> None:
        """Stop drained nodes that have nothing to do and nothing to send, as the runbook says of scaling in."""
        for node in [node for node in self.nodes if node.name in self._leaving and node.process is not None]:
            jobs = self._ask("GET", f"/jobs?node={node.name}&state=ASSIGNED,RUNNING")
            if jobs["total"] or _waits(node):
                continue
            assert node.process is not None
            node.process.terminate()
            self._left += [] if node.process.wait(60) == 0 else [f"{node.name} did not stop in order"]
            self.nodes.remove(node)
            self._leaving.remove(node.name)
            self.say(f"{node.name} has left")

    def _spoil_store(self, what: str) -> bool:
        if self._store_ends:
            return False
        if what == "away":
            self.s3.pause()
        elif what == "slow":
            self.proxy.delay_s = 2.0
        elif what == "full":
            self.proxy.refuse_puts = True
        else:
            self.proxy.spoil = wrong_bytes
        self._store_ends.append((time.monotonic() + self.away_s, self._mend_store))
        return True

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
            *self._left,
            *self._wrong_objects(),
            *self._wrong_files(),
            *self._caches(),
        ]

    def _unsent(self) -> list[str]:
        ends_at = time.monotonic() + SETTLE_S
        while time.monotonic() < ends_at and (self._leaving or any(_waits(node) for node in self.nodes)):
            self._bring_back()
            time.sleep(1.0)
        return [
            *(f"{node.name} has not sent {_waits(node)}" for node in self.nodes if _waits(node)),
            *(f"{name} was drained and has not become idle" for name in self._leaving),
        ]

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
        """Caches that are too large, or hold something else than the one file that jobs referred to."""
        problems, wanted = [], self.payload.rpartition("/")[2]
        for node in self.nodes:
            fetched = FetchedFiles(Path(node.workdir) / "fetched", int(CACHE_GB * 1e9))
            size = sum(path.stat().st_size for path in fetched.root.rglob("*") if path.is_file())
            if size > fetched.most_bytes:
                problems.append(f"{node.name} has {size:,} bytes in its cache")
            for folder in fetched.root.glob("sha256-*"):
                digest = hashlib.sha256(fetched.path(folder.name).read_bytes()).hexdigest()
                if (folder.name, digest) != (f"sha256-{wanted}", wanted):
                    problems.append(f"{node.name} has {digest[:12]} in its cache as {folder.name[:19]}")
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
