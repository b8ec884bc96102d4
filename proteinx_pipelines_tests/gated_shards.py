"""Shards that pass a gate before they begin: it counts them, kills a worker once, and holds the last one back."""

import hashlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from proteinx_pipelines.campaign.runs import CampaignWork
from proteinx_pipelines.execution.shards.embedding import EmbeddingTask, embed_batches
from proteinx_pipelines.spreading import Files, refuse_unwanted
from proteinx_pipelines.stages.train.spread_folds import FoldTask, FoldWork

GATE, SHARDS = "PROTEINX_TEST_GATE", "PROTEINX_TEST_SHARDS"
"""Environment variables of a worker: the folder of the gate, and the number of shards that come to it."""
OPEN, KILLED, PASSED = "open", "killed", "passed"
"""Files of a gate: it lets every shard pass, it has killed a worker, every passage with its shard."""


def pass_gate(shard: str, what: str = "") -> None:
    """Note a shard that begins; of a gate that is not open, the second one kills its worker and the last one waits.

    All but the last can end while it waits, whatever the order in which workers take them: a killed worker's shard
    finds the place that it had.

    Args:
        shard: its name.
        what: noted beside it.
    """
    folder = Path(os.environ[GATE])
    with (folder / PASSED).open("a") as stream:
        stream.write(f"{shard} {what}\n")
    if (folder / OPEN).exists():
        return
    place = _place(folder, shard)
    if place == 1 and not (folder / KILLED).exists():
        (folder / KILLED).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    while place == int(os.environ[SHARDS]) - 1 and not (folder / OPEN).exists():
        refuse_unwanted()
        time.sleep(0.02)


def _place(folder: Path, shard: str) -> int:
    """The number of a shard in the order in which they came first."""
    number = 0
    while True:
        place = folder / f"place-{number}"
        try:
            place.symlink_to(shard)  # at once, with its name
            return number
        except FileExistsError:
            if str(place.readlink()) == shard:
                return number
        number += 1


@dataclass(frozen=True)
class GatedFolds(FoldWork):
    """Folds that pass a gate."""

    def __call__(self, task: FoldTask) -> Files:
        """Fit one shard."""
        pass_gate(f"fold-{task.shard.fold}")
        return super().__call__(task)


@dataclass(frozen=True)
class GatedCampaigns(CampaignWork):
    """Campaigns that pass a gate."""

    def __call__(self, task: tuple[int, int]) -> Files:
        """Run one campaign."""
        pass_gate("campaign-{}-{}".format(*task))
        return super().__call__(task)


def gated_batches(task: EmbeddingTask) -> list[np.ndarray]:
    """Embed batches behind a gate, which notes the number of sequences."""
    letters = [letters for letters, _ in task.batches]
    digest = hashlib.sha256(b"".join(each.tobytes() for each in letters)).hexdigest()
    pass_gate(f"batches-{digest[:16]}", str(sum(map(len, letters))))
    return embed_batches(task)
