"""Processes that save checkpoints and are killed in the middle of a save; then the newest is read.

    TMPDIR=/another/file/system python killed_saves.py FOLDER WRITER KILLS SEED

Prints one JSON document: the number of kills during a save, of those followed by a readable checkpoint, and of
completed saves that were lost. `atomic` is the project's writer; the others are simpler writers for comparison,
and `stock` is Lightning's. PyTorch is imported once: each life is a fork.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO

Save = Callable[[dict[str, Any], Path], Any]
NUMBERS = 2_000_000
"""Size of a checkpoint: 8 MB, so that a save takes long enough to be hit."""


def _staged(checkpoint: dict[str, Any], path: Path) -> None:
    descriptor, name = tempfile.mkstemp()
    with os.fdopen(descriptor, "wb") as stream:
        torch.save(checkpoint, stream)
    shutil.move(name, path)


def _read_plain(path: Path) -> dict[str, Any]:
    return dict(torch.load(path, weights_only=True))


_ATOMIC = AtomicCheckpointIO()
WRITERS: dict[str, tuple[Save, Callable[[Path], dict[str, Any]]]] = {
    "atomic": (_ATOMIC.save_checkpoint, _ATOMIC.load_checkpoint),
    "in place": (torch.save, _read_plain),
    "staged elsewhere": (_staged, _read_plain),
    "stock": (TorchCheckpointIO().save_checkpoint, _read_plain),
}


def _checkpoint(step: int) -> dict[str, Any]:
    return {"state_dict": {"w": torch.full((NUMBERS,), float(step))}, "global_step": step}


def _save_for_ever(save: Save, path: Path, step: int, said: int) -> None:
    """A life: say `b` before and `e` after each save."""
    while True:
        step += 1
        checkpoint = _checkpoint(step)
        os.write(said, b"b")
        save(checkpoint, path)
        os.write(said, b"e")


def _one_life(save: Save, path: Path, step: int, after_s: float) -> tuple[int, bool]:
    """Kill a process `after_s` seconds into its second save; the saves that had ended, and whether one was going on."""
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(heard)
        _save_for_ever(save, path, step, said)
    os.close(said)
    read = b""
    while read.count(b"b") < 2:
        read += os.read(heard, 1)
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(heard, 4096):
        read += more
    os.close(heard)
    return read.count(b"e"), read.endswith(b"b")


def main() -> None:
    folder, writer, kills, chance = (
        Path(sys.argv[1]),
        sys.argv[2],
        int(sys.argv[3]),
        random.Random(int(sys.argv[4])),
    )
    save, load = WRITERS[writer]
    path = folder / "last.ckpt"
    began = time.monotonic()
    save(_checkpoint(0), path)
    usual_s = time.monotonic() - began
    inside = readable = lost = step = 0
    while inside < kills:
        ended, in_save = _one_life(save, path, step, chance.uniform(0, 1.5 * usual_s))
        inside += in_save
        if not in_save:
            step += ended
            continue
        try:
            checkpoint = load(path)
        except Exception:  # noqa: BLE001  # whatever a reader says of half a file
            save(_checkpoint(step), path)
            continue
        found = int(checkpoint["global_step"])
        whole = bool((checkpoint["state_dict"]["w"] == found).all())
        readable += whole
        lost += whole and found < step + ended
        step = found
    elsewhere = Path(tempfile.gettempdir()).stat().st_dev != folder.stat().st_dev
    print(json.dumps({"kills": inside, "readable": readable, "lost": lost, "elsewhere": elsewhere}))  # noqa: T201


if __name__ == "__main__":
    main()
