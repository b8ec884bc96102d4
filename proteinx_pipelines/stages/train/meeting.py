"""Meeting of the machines of one training (`trainer.num_nodes` above 1), through a store of torch's own.

    node of the experiment                          machines that `proteinx rank` lends
    opens the store at MASTER_ADDR:MASTER_PORT      ask there until it is open
    leaves the job                                  take a number, say their versions
    says go, or why not                             write the job, start their ranks
    trains as node 0                                train, and end when node 0 has ended

The ranks then talk at MASTER_PORT + 1. Whoever reaches the store can read the job: keep both ports in a private
network.

Source: https://docs.pytorch.org/docs/stable/distributed.html, "TCPStore".
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import BackendError, FlagError, WorkerLost

ADDRESS, PORT = "MASTER_ADDR", "MASTER_PORT"
ARRANGED = "PROTEINX_MEETING"
"""Variable of a node whose Master lends the machines; `MASTER_ADDR` and `MASTER_PORT` go before it."""
WAIT_S = 120.0
"""Seconds to wait for the other machines before the attempt is given up."""
_ANSWER_S = 30.0
_CHUNK = 8 << 20
_MUST_EQUAL = ("proteinx-infra", "torch", "lightning", "numpy")
_GO = "go"


@dataclass(frozen=True)
class Place:
    """Where the machines of a training meet."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Place":
        """Read `host:port`.

        Raises:
            ValueError: it is neither.
        """
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65535:
            raise ValueError(f"{text!r}: host:port is expected, such as 10.0.0.7:29500")
        return cls(host.strip("[]"), int(port))

    def is_open(self) -> bool:
        """True if something listens there."""
        try:
            with socket.create_connection((self.host, self.port), timeout=_ANSWER_S):
                return True
        except OSError:
            return False

    def environment(self, rank: int) -> dict[str, str]:
        """Variables for the ranks of one machine."""
        return {ADDRESS: self.host, PORT: str(self.port + 1), "NODE_RANK": str(rank)}


def arranged_place(n_nodes: int) -> Place:
    """The place that the environment of this node names.

    Raises:
        FlagError: it names none; the message says what to set.
    """
    by_hand = f"{os.environ.get(ADDRESS)}:{os.environ.get(PORT)}"
    try:
        return Place.of(by_hand if is_lent_by_hand() else os.environ.get(ARRANGED, ""))
    except ValueError as error:
        text = (
            f"`trainer.num_nodes` is {n_nodes}, and no meeting is arranged on this node: send it to a Master with "
            f"{n_nodes} nodes; or set {ADDRESS} (an address of it that the others reach) and {PORT}, and start "
            f"`proteinx rank --address HOST:PORT` on {n_nodes - 1} other machines; or leave `trainer.num_nodes` out"
        )
        raise FlagError([text]) from error


def is_lent_by_hand() -> bool:
    """True if the environment names a meeting as users of torch do: then people lend machines, and no Master does."""
    return bool(os.environ.get(ADDRESS) and os.environ.get(PORT))


def address_towards(host: str) -> str | None:
    """The address of this machine from which it reaches another; None where there is no way. Sends nothing."""
    try:
        family, _, _, _, place = socket.getaddrinfo(host, 9, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError:
        return None


class Meeting:
    """A training's meeting, as its own node holds it."""

    def __init__(self, store: Any, place: Place, n_nodes: int) -> None:
        self._store, self.place, self._n_nodes = store, place, n_nodes

    def gather(self, folder: Path, experiment_id: str, alive: Callable[[], None]) -> None:
        """Leave the job of a folder, and wait until all machines have it.

        Args:
            folder: of `write_job`.
            experiment_id: of the training, for machines that are lent to one experiment.
            alive: called while it waits.

        Raises:
            BackendError: too few came, or one has other versions.
        """
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
        listed = []
        for number, name in enumerate(names):
            content = (folder / name).read_bytes()
            pieces = [content[start : start + _CHUNK] for start in range(0, max(1, len(content)), _CHUNK)]
            for piece_number, piece in enumerate(pieces):
                self._store.set(f"file/{number}/{piece_number}", piece)
            listed.append([name, len(pieces)])
        document = {
            "id": secrets.token_hex(8), "experiment_id": experiment_id, "n_nodes": self._n_nodes, "files": listed,
        }  # fmt: skip
        self._store.set("job", json.dumps(document))
        came = self._came(alive)
        ours = _versions()
        wrong = [
            f"{facts['host']}: {name} {facts['versions'].get(name)}, here {version}"
            for facts in came
            for name, version in ours.items()
            if facts["versions"].get(name) != version
        ]
        self._store.set("verdict", "; ".join(wrong) or _GO)
        if wrong:
            raise BackendError(f"Machines of this training have other versions: {'; '.join(wrong)}.")

    def _came(self, alive: Callable[[], None]) -> list[dict[str, Any]]:
        ends_at, ranks = time.monotonic() + WAIT_S, range(1, self._n_nodes)
        while not all(self._store.check([f"here/{rank}"]) for rank in ranks):
            alive()
            if time.monotonic() > ends_at:
                n = sum(self._store.check([f"here/{rank}"]) for rank in ranks)
                raise BackendError(
                    f"Of the {self._n_nodes - 1} other machines of this training, {n} came within {WAIT_S:.0f} s. "
                    f"Start `proteinx rank --address {self.place.host}:{self.place.port}` on them, or see in "
                    "`logs/lending.log` of the nodes that the Master lends why they do not reach it."
                )
            time.sleep(0.2)
        return [json.loads(self._store.get(f"here/{rank}")) for rank in ranks]

    def refuse_lost(self) -> None:
        """Raise when a machine has lost its ranks.

        Raises:
            WorkerLost: another attempt continues from the last checkpoint.
        """
        for rank in range(1, self._n_nodes):
            if self._store.check([f"lost/{rank}"]):
                text = self._store.get(f"lost/{rank}").decode("utf-8", "replace")
                raise WorkerLost(f"Machine {rank} of this training lost its ranks: {text}")

    def end(self) -> None:
        """Tell the others that it is over, and close the store."""
        self._store.set("end", "1")
        time.sleep(0.5)  # they ask; a store that is gone tells them too
        self._store = None


@contextmanager
def open_meeting(place: Place, n_nodes: int) -> Iterator[Meeting]:
    """Open the store of a training.

    Raises:
        BackendError: the port is taken.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    seconds = timedelta(seconds=_ANSWER_S)
    try:
        # Held by the meeting alone: its port is free when that lets go, whoever keeps the error of the training.
        meeting = Meeting(
            TCPStore(place.host, place.port, is_master=True, wait_for_workers=False, timeout=seconds),
            place,
            n_nodes,
        )
    except RuntimeError as error:
        raise BackendError(
            f"{place.host}:{place.port} ({ADDRESS}, {PORT}) cannot be opened: {error}"[:400]
        ) from error
    try:
        yield meeting
    finally:
        meeting.end()


@dataclass(frozen=True)
class Invitation:
    """A job that a machine has taken a part of."""

    store: Any
    job_id: str
    rank: int
    """Number of this machine, from 1."""

    def is_over(self) -> bool:
        """True if the node has ended the training, or is gone."""
        try:
            return bool(self.store.check(["end"]))
        except RuntimeError:
            return True

    def lost(self, text: str) -> None:
        """Tell the node that the ranks of this machine have ended."""
        try:
            self.store.set(f"lost/{self.rank}", text[-1500:])
        except RuntimeError:
            return  # it knows, or is gone itself


def ask(place: Place, folder: Path, known: str, experiment_id: str | None = None) -> Invitation | None:
    """Ask for a part of a training.

    Args:
        place: where.
        folder: receives the files of the job.
        known: id of the job that this machine had last; it is not taken again.
        experiment_id: the only one whose trainings are taken; None: any.

    Returns:
        None where there is no training, or it needs no further machine.

    Raises:
        BackendError: the node refused this machine; the message says why.
    """
    if not place.is_open():  # asked without torch, which would log every try of an hour
        return None
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:
        store = TCPStore(
            place.host,
            place.port,
            is_master=False,
            wait_for_workers=False,
            timeout=timedelta(seconds=_ANSWER_S),
        )
        job: Mapping[str, Any] = json.loads(store.get("job"))
        if job["id"] == known or experiment_id not in (None, job["experiment_id"]):
            return None
        rank = int(store.add("came", 1))
        if rank >= int(job["n_nodes"]):
            return None
        for number, (name, n_pieces) in enumerate(job["files"]):
            pieces = [store.get(f"file/{number}/{piece}") for piece in range(n_pieces)]
            (folder / Path(name).name).write_bytes(b"".join(pieces))
        facts = {"host": os.uname().nodename if hasattr(os, "uname") else "", "versions": _versions()}
        store.set(f"here/{rank}", json.dumps(facts))
        while not store.check(["verdict"]):  # as long as the node waits for the others
            time.sleep(0.2)
        verdict = store.get("verdict").decode()
    except (RuntimeError, ValueError):  # nobody there, or gone again
        return None
    if verdict != _GO:
        raise BackendError(f"{place.host}:{place.port} refused this machine: {verdict}.")
    return Invitation(store, job["id"], rank)


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _MUST_EQUAL}
