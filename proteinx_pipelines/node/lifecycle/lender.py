"""Lends this machine to the training of another node, as long as the Master says so.

The Master keeps a text at a key of this node (`contract.lending.Lending`); a thread of the agent looks there, and holds
one process that takes part in the trainings of that experiment. The key decides: a Master, a Redis or an agent that is
started again finds it as it was, and it ends by itself when nobody renews it. The process ends with the agent.
"""

import logging
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.contract.lending import Lending
from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.node.processes.process_groups import kill_group, own_group
from proteinx_pipelines.node.talking.connections import master_line
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
LOOK_S = 1.0
"""Pause between two looks at the key, in seconds."""
AGAIN_S = 10.0
"""Seconds after which a process that has ended is started again, while the key is there."""
MODULE = "proteinx_pipelines.stages.train.lending"


@dataclass
class Lender:
    """The process that takes part, and what it was started for."""

    settings: Settings
    lending: Lending | None = None
    """What this machine is given to; None: nothing."""
    _process: "subprocess.Popen[bytes] | None" = None
    _again_at: float = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Look until `stopping` is set; then end the process."""
        try:
            while not stopping.wait(LOOK_S):
                try:
                    self.follow(master_line(self.settings).lent())
                except BackendError as error:  # Redis is away: what was said last holds
                    log.debug("%s", error)
                except OSError as error:  # a full disk, no process to be had
                    log.warning("This machine could not be lent: %s", error)
        finally:
            self.follow(None)

    def follow(self, wanted: Lending | None) -> None:
        """Do what the Master says."""
        if wanted != self.lending:
            self._end()
            self.lending, self._again_at = wanted, 0.0
        if self._process is not None and self._process.poll() is not None:
            log.warning("The ranks lent to %s ended; see %s.", self._experiment(), self._log())
            self._end()
            self._again_at = steady_seconds() + AGAIN_S
        if wanted is not None and self._process is None and steady_seconds() >= self._again_at:
            self._start(wanted)

    def _start(self, wanted: Lending) -> None:
        log.info("This machine is lent to %s, at %s.", wanted.experiment_id, wanted.address)
        self._log().parent.mkdir(parents=True, exist_ok=True)
        with self._log().open("wb") as output:  # of the present lending
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of ours
                [sys.executable, "-m", MODULE, wanted.address, wanted.experiment_id],
                stdin=subprocess.PIPE,  # held open as long as this process lives: `die_with_parent` reads it
                stdout=output,
                stderr=output,
                cwd=self.settings.workdir,
                **own_group(),
            )

    def _end(self) -> None:
        """End the process and its ranks, which read whether it lives."""
        if self._process is None:
            return
        kill_group(self._process.pid)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._process = None

    def _log(self) -> Path:
        return self.settings.paths.part_log("lending")

    def _experiment(self) -> str:
        return "nothing" if self.lending is None else self.lending.experiment_id
