"""Detects parts of a node that live and make no progress, for the supervisor to restart.

Two signs, each judged by a clock that nobody sets: the kernel says that a process is stopped (SIGSTOP, Ctrl-Z), or
the mark that a part renews in every round of its work stays as it was. The step worker and the run host wait between
tasks and renew nothing: the reconciler sees what they should have begun.
"""

import contextlib
import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proteinx_pipelines.node.processes.births import is_frozen
from proteinx_pipelines.settings import Settings

FROZEN_S = 60.0
"""Seconds after which a process that is stopped is taken for stuck."""


@dataclass
class PartWatch:
    """Checks the processes of one node, again and again."""

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _since: dict[tuple[str, int, str], tuple[Hashable, float]] = field(default_factory=dict)
    _kept: dict[Path, bytes] = field(default_factory=dict)

    def stuck(self, pids: Mapping[str, int]) -> Iterator[tuple[str, str]]:
        """The parts that are to be ended, and why.

        Args:
            pids: part -> process id, of those that live.
        """
        self._since = {key: value for key, value in self._since.items() if pids.get(key[0]) == key[1]}
        can_tell = self._can_tell()
        for part, pid in pids.items():
            if self._still(part, pid, "frozen", is_frozen(pid), counts=is_frozen(pid)) > FROZEN_S:
                yield part, f"has been stopped for {FROZEN_S:.0f} s"
                continue
            sign = self._sign(part)
            limit = self.settings.stall_limit_s
            if self._still(part, pid, "silent", sign, counts=can_tell and sign is not None) > limit:
                yield part, f"has made no progress for {limit} s"

    def keep_addresses(self) -> None:
        """Restore the files with the addresses of the node's servers when somebody has removed them.

        A living process wrote it once, and knows nothing of its removal; without it no part finds the embedded server.
        """
        paths = [self.settings.paths.running(part) for part in ("redis", "web", "code_server")]
        for path in (*paths, self.settings.paths.code_locations):
            with contextlib.suppress(OSError):
                if path.is_file():
                    self._kept[path] = path.read_bytes()
                elif path in self._kept:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(self._kept[path])

    def _sign(self, part: str) -> Hashable:
        """Mark that a part renews as it works; None where nothing can be said of it now."""
        if part in ("daemon", "agent", "master"):
            path = self.settings.paths.running(part)
        elif part == "code-server":
            path = self.settings.paths.looking  # exists while the intake processes one message or experiment
        else:
            return None
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def _can_tell(self) -> bool:
        """True if a mark could be written at all: not where the folder is read-only or gone."""
        try:
            os.utime(self.settings.run_dir)
        except OSError:
            return False
        return True

    def _still(self, part: str, pid: int, question: str, value: Hashable, *, counts: bool) -> float:
        """Seconds for which the answer has been the same; 0 while it does not count."""
        key = (part, pid, question)
        known = self._since.get(key)
        if not counts:
            self._since.pop(key, None)
            return 0.0
        if known is None or known[0] != value:
            self._since[key] = (value, self.clock())
            return 0.0
        return self.clock() - known[1]
