"""Ended experiments that wait for trackers: folders in the layout of an experiment directory.

They lie at `<WORKDIR>/tracking/g<generation>/<id>/`. Files are linked, so that the next generation may replace them;
logs and metrics are copied. `tracking.json` beside them names the trackers that are left, how often each was tried, and
why it failed.
"""

import contextlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proteinx_pipelines.execution.ended_experiments import keep_files
from proteinx_pipelines.experiment_dir.files import read_json, write_json
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, FLAGS, METRICS, ExperimentDir
from proteinx_pipelines.flags.run import RunFlags
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
NOTE = "tracking.json"
MOST_WAITING = 1_000
"""Most experiments that wait; beyond it the oldest are forgotten."""
FIRST_RETRY_S, LAST_RETRY_S = 15.0, 900.0
"""Pauses before another try of a tracker that failed: the first and the longest."""
_TOLD = (DOCUMENT, FLAGS, METRICS, "artifacts/")
"""Files that trackers get; vectors and checkpoints stay."""
_CLAIM = "claim"


@dataclass(frozen=True)
class Waiting:
    """One ended experiment that is not told everywhere."""

    folder: Path

    @property
    def name(self) -> str:
        """`<id>@<generation>`."""
        return run_name(self.folder)

    def note(self) -> dict[str, Any]:
        """Content of its note: tracker -> `tries`, `next_at` (seconds since 1970) and `error`."""
        try:
            found: dict[str, Any] = read_json(self.folder / NOTE)["trackers"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found

    def due(self, now: float) -> list[str]:
        """Trackers to be tried now."""
        return [name for name, facts in self.note().items() if facts.get("next_at", 0) <= now]

    def told(self, tracker: str) -> None:
        """Take a tracker off; the folder goes with the last one."""
        left = {name: facts for name, facts in self.note().items() if name != tracker}
        if left:
            self._write(left)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def failed(self, tracker: str, error: str, now: float) -> None:
        """Note a failure; the tracker is tried again later, less and less often."""
        note = self.note()
        tries = int(note.get(tracker, {}).get("tries", 0)) + 1
        pause = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(tries - 1, 10))
        self._write({**note, tracker: {"tries": tries, "next_at": now + pause, "error": error[:500]}})

    @contextlib.contextmanager
    def claimed(self, stale_s: float) -> Iterator[bool]:
        """Hold the experiment against other senders; false when another one has it.

        Args:
            stale_s: age of a claim after which its process must be gone.
        """
        mark = self.folder / _CLAIM
        with contextlib.suppress(OSError):
            if time.time() - mark.stat().st_mtime > stale_s:
                mark.unlink()
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            mark.unlink(missing_ok=True)

    def _write(self, trackers: Mapping[str, Any]) -> None:
        write_json(self.folder / NOTE, {"trackers": dict(trackers)})


def offer_to_trackers(
    settings: Settings, directory: ExperimentDir, generation: int, run: RunFlags | None
) -> bool:
    """Keep an ended experiment for its trackers; does nothing where no tracker is asked for.

    Args:
        settings: of the node, whose trackers are told of every experiment.
        directory: of the experiment.
        generation: that ended.
        run: its flags; None where they cannot be read.

    Returns:
        True if it waits now.
    """
    chosen = sorted({*settings.track, *(() if run is None else run.track)})
    if not chosen:
        return False
    names = [name for name in file_names(directory) if name.startswith(_TOLD)]
    target = settings.paths.tracking_dir / f"g{generation}" / directory.experiment_id
    building = settings.paths.tracking_dir / f".building-{secrets.token_hex(4)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(building / NOTE, {"trackers": {name: {"tries": 0} for name in chosen}})
    keep_files(directory, names, building, target)
    _forget_oldest(settings)
    return True


def run_name(folder: Path) -> str:
    """`<id>@<generation>` of a folder of this place."""
    return f"{folder.name}@{folder.parent.name.removeprefix('g')}"


def waiting(settings: Settings) -> list[Waiting]:
    """Experiments that wait, oldest first."""
    found = [path for path in settings.paths.tracking_dir.glob("g*/*") if path.is_dir()]
    return [Waiting(path) for path in sorted(found, key=_age)]


def _age(path: Path) -> float:
    try:
        return path.stat().st_ctime
    except OSError:
        return 0.0


def _forget_oldest(settings: Settings) -> None:
    found = waiting(settings)
    for old in found[: max(0, len(found) - MOST_WAITING)]:
        log.warning("%s is not told to %s: too many wait.", old.name, ", ".join(old.note()))
        shutil.rmtree(old.folder, ignore_errors=True)
