"""Forwards lines and files of jobs to a Master elsewhere, on a thread of the agent.

It reads what the experiments have written, so that no training knows of it, and goes on by itself when the Master was
away. A node in the WORKDIR of a Master forwards nothing: that Master reads the files.
"""

import logging
import os
import re
import threading
from pathlib import Path

from proteinx_pipelines.client.http_link import MasterRefused, MasterUnavailable
from proteinx_pipelines.clock import timestamp_before
from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.node.talking.sending_files import send_files
from proteinx_pipelines.node.talking.sending_lines import send_lines
from proteinx_pipelines.node.talking.sent_notes import KEPT_S, SentNote, SentNotes
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
ROUND_S = 1.0
"""Seconds between two looks at what has been written."""
LONGEST_PAUSE_S = 30.0
"""Longest pause while the Master does not answer; the first is `ROUND_S`, and each is twice the one before."""
_JOB = re.compile(r"(j-[0-9a-f]{1,64})/[0-9]{1,9}")


class Forwarder:
    """One node's."""

    def __init__(
        self, settings: Settings, state: Ledger, master: MasterHttp, stopping: threading.Event
    ) -> None:
        self._settings, self._state, self._master = settings, state, master
        self._notes = SentNotes(settings.paths.sent_dir)
        self._stopping = stopping
        self._since = timestamp_before(KEPT_S)
        self._thread = threading.Thread(target=self._run, name="forwarder", daemon=True)

    def start(self) -> None:
        """Start the thread; it ends when the node stops."""
        self._thread.start()

    def look(self) -> None:
        """Send what there is to send.

        Raises:
            MasterUnavailable, MasterRefused: the rest is sent by a later call.
        """
        self._note_new()
        for note in list(self._notes.open()):
            if self._stopping.is_set():
                return
            self._forward(note)

    def _run(self) -> None:
        pause = ROUND_S
        while not self._stopping.wait(pause):
            try:
                self.look()
                pause = ROUND_S
            except (ProteinxError, OSError) as error:
                if pause == ROUND_S:
                    log.warning("What jobs have written stays here until the Master takes it: %s", error)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            except Exception:
                log.exception("What jobs have written could not be sent; it is tried again.")
                pause = LONGEST_PAUSE_S

    def _note_new(self) -> None:
        """Begin a note for each job that has come since the last look."""
        look_from = timestamp_before(10.0)
        for current in self._state.lately_changed(self._since):
            found = _JOB.fullmatch(current.message_id or "")
            if found and current.state != "PENDING" and not self._is_noted(found[1], current):
                self._notes.save(
                    SentNote(
                        found[1], str(current.message_id), current.experiment_id, current.generation,
                        current.received_at,
                    )
                )  # fmt: skip
        self._since = look_from

    def _is_noted(self, job_id: str, current: Generation) -> bool:
        note = self._notes.load(job_id)
        return note is not None and (note.message_id, note.generation) == (
            current.message_id,
            current.generation,
        )

    def _forward(self, note: SentNote) -> None:
        current = self._state.generation(note.experiment_id, note.generation)
        if current is None:  # forgotten by housekeeping
            self._notes.forget(note.job_id)
            return
        directory = ExperimentDir(self._settings.experiments_dir, note.experiment_id)
        has_ended = current.is_terminal
        try:
            send_lines(self._master, self._notes, note, directory, complete=has_ended)
            if has_ended and directory.root.is_dir():
                send_files(self._master, self._notes, note, directory, lambda: self._is_wanted(note))
        except MasterRefused as error:
            if error.status != 404:
                raise
            log.info("The Master does not know %s any more.", note.job_id)
        except MasterUnavailable:
            raise
        if has_ended and not self._stopping.is_set():
            note.is_done = True
            self._notes.save(note)

    def _is_wanted(self, note: SentNote) -> bool:
        """False when the node stops, or another generation writes the files."""
        newest = self._state.latest(note.experiment_id)
        return not self._stopping.is_set() and newest is not None and newest.generation == note.generation


def forwarder_of(settings: Settings, state: Ledger, stopping: threading.Event) -> Forwarder | None:
    """The forwarder of a node; None where no Master is configured, or it reads this WORKDIR itself."""
    if settings.master is None or _is_beside(settings):
        return None
    token = os.environ.get("PROTEINX_TOKEN") or None
    return Forwarder(settings, state, MasterHttp(settings.master, token), stopping)


def _is_beside(settings: Settings) -> bool:
    """True if the Master works in this WORKDIR."""
    from proteinx_pipelines.master.settings import address_file

    folder = os.environ.get("PROTEINX_MASTER_DIR")
    return address_file(
        Path(folder).expanduser().resolve() if folder else settings.paths.master_dir
    ).is_file()
