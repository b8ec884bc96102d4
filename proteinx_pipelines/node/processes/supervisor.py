"""`proteinx up`: all parts of a node as child processes; started together, kept alive, stopped in order.

The supervisor waits for exits, checks that living parts make progress, and computes nothing: one waiting thread per
child, one queue of events. Children are started by the main thread only: the kernel ties
"die with your parent" to the thread that started them.
"""

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from proteinx_pipelines.master.settings import MasterSettings
from proteinx_pipelines.node.processes.fork_server import COMMAND as FORK_SERVER
from proteinx_pipelines.node.processes.forked_parts import ForkedParts
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID
from proteinx_pipelines.node.processes.part_log import LogShape, PartLog, last_line
from proteinx_pipelines.node.processes.part_logging import JSON
from proteinx_pipelines.node.processes.part_stopping import Say, stop_parts
from proteinx_pipelines.node.processes.part_watch import PartWatch
from proteinx_pipelines.node.processes.ports import claim_web, read_address
from proteinx_pipelines.node.processes.process_groups import (
    PartProcess,
    how_it_ended,
    kill_group,
    stop_signals,
)
from proteinx_pipelines.node.processes.readiness import missing_parts
from proteinx_pipelines.node.processes.ready_parts import beat, forget
from proteinx_pipelines.node.processes.start_checks import check_before_start
from proteinx_pipelines.node.processes.supervised_part import MAX_PAUSE_S, Child
from proteinx_pipelines.node.processes.workdir import never_make_again, prepare_workdir
from proteinx_pipelines.node.talking.master_http import master_pid
from proteinx_pipelines.node.talking.reconcile_request import ask_to_reconcile
from proteinx_pipelines.settings import Settings

LATE = {"web"}
"""Started when the node is ready: experiments do not wait for a page that nobody looks at yet."""
NOT_OF_THE_NODE = ("redis", "master")
"""Parts that see the queue as senders do; all others listen to the node's own list where there is a Master."""
LOOK_S = 0.1
"""Pause between two checks that the node is ready, in seconds."""
WATCH_S = 2.0
"""Seconds between two checks that the parts make progress."""
PATIENCE_S = 60.0
"""Seconds between two messages of a node that is not ready about what it waits for."""


class Supervisor:
    """One node's processes."""

    def __init__(
        self,
        settings: Settings,
        say: Say,
        *,
        web: bool = True,
        verbose: bool = False,
        master: MasterSettings | None = None,
        node_environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare; nothing starts yet.

        Args:
            settings: of the node.
            say: takes lines for the operator.
            web: true to start Dagster's web server.
            verbose: true to print what the parts log, too.
            master: settings of a Master that is to run beside the node; None for none.
            node_environment: further variables for the node's own parts, such as the names of its lists.
        """
        self.settings = settings
        self.say = say
        self.master = master
        self._node_environment = dict(node_environment or {})
        own_redis = [] if settings.redis_url else ["redis"]
        own_master = [] if master is None else ["master"]
        parts = [
            *own_redis,
            *own_master,
            "code-server",
            "worker",
            "host",
            "daemon",
            "agent",
            *(["web"] if web else []),
        ]
        shape = LogShape(round(settings.log_max_mb * 1e6), settings.log_files, settings.log_format == JSON)
        logs = {part: PartLog(settings.logs_dir, part, echo=verbose, shape=shape) for part in parts}
        self.children = {part: Child(part, log) for part, log in logs.items()}
        self._forks = ForkedParts(
            self._environment(of_the_node=True),
            PartLog(settings.logs_dir, FORK_SERVER, echo=verbose, shape=shape),
        )
        self._lock = PartLock(settings.paths, "node", "The node")
        self._watch = PartWatch(settings)
        self._watch_at = 0.0
        self._events: queue.SimpleQueue[Child | None] = queue.SimpleQueue()
        self._stops_asked = 0

    def run(self, when_ready: Callable[[float], None]) -> None:
        """Start everything, call `when_ready` with the seconds it took, supervise until SIGINT or SIGTERM.

        Raises:
            NodeBusy: a node runs in this WORKDIR already, or the web server's port is taken.
            QueueUnavailable: a server that the settings name does not answer.
        """
        prepare_workdir(self.settings)
        never_make_again(self.settings.workdir)
        self._lock.acquire()
        began = time.monotonic()
        before = {number: signal.signal(number, self._asked_to_stop) for number in stop_signals()}
        try:
            check_before_start(self.settings, web="web" in self.children, master=self.master)
            forget(self.settings)
            self._forks.begin()
            for child in self.children.values():
                if child.part not in LATE:
                    child.due_at = began
            if self._wait_until_ready():
                for part in LATE & self.children.keys():
                    claim_web(self.settings)  # the address is written before the server answers there
                    self._start(self.children[part])
                when_ready(time.monotonic() - began)
                self._supervise()
        finally:
            self._stop()
            self._lock.release()
            for number, handler in before.items():
                signal.signal(number, handler)

    # ------------------------------------------------------------------ living
    def _wait_until_ready(self) -> bool:
        """Wait until a heartbeat is there; false when asked to stop before."""
        began = time.monotonic()
        complain_at = began + PATIENCE_S
        awaited = self._missing()
        while (missing := self._missing()) or awaited:
            for part in [part for part in awaited if part not in missing]:
                awaited.remove(part)
                self.say(f"{part} is ready after {time.monotonic() - began:.1f} s.")
            if not missing:
                break
            if not self._handle_one(LOOK_S):
                return False
            if time.monotonic() >= complain_at:
                complain_at += PATIENCE_S
                self.say(f"Still waiting for: {', '.join(missing)}. See {self.settings.logs_dir}.")
        return True

    def _missing(self) -> list[str]:
        """Names of the parts that are not ready yet."""
        child = self.children.get("master")
        if child is None or self.master is None or child.process is None:
            return missing_parts(self.settings)
        is_up = master_pid(self.master) == child.process.pid
        return [*([] if is_up else ["master"]), *missing_parts(self.settings)]

    def _supervise(self) -> None:
        while self._handle_one(WATCH_S):
            pass

    def _handle_one(self, longest_wait: float | None) -> bool:
        """Wait for one event, or until a restart is due; false when asked to stop."""
        due = [child.due_at for child in self.children.values() if child.due_at is not None]
        waits = [wait for wait in (longest_wait, *(at - time.monotonic() for at in due)) if wait is not None]
        try:
            child = self._events.get(timeout=max(0.0, min(waits)) if waits else None)
        except queue.Empty:
            child = None
        if self._stops_asked:
            return False
        if child is not None:
            self._bury(child)
        for waiting in self.children.values():
            if waiting.due_at is not None and waiting.due_at <= time.monotonic():
                self._start_again(waiting)
        self._look_for_stuck_parts()
        return True

    def _look_for_stuck_parts(self) -> None:
        """End parts that live and make no progress; their end is an event like any other, and they start again."""
        if time.monotonic() < self._watch_at:
            return
        self._watch_at = time.monotonic() + WATCH_S
        self._say_when_the_web_server_answers()
        beat(self.settings, "node")
        self._watch.keep_addresses()
        self._forks.keep()
        living = {
            child.part: child.process.pid
            for child in self.children.values()
            if child.process is not None and child.is_running and child.due_at is None
        }
        for part, why in self._watch.stuck(living):
            self.say(f"{part} (process {living[part]}) {why}; it is killed and started again.")
            kill_group(living[part])

    def _say_when_the_web_server_answers(self) -> None:
        """Announce the web server, once for each of its starts, and never another program on its port."""
        child = self.children.get("web")
        if child is None or child.process is None or child.said_ready or child.due_at is not None:
            return
        address = read_address(self.settings.paths.running("web"))
        if address is not None and address.pid == child.process.pid and address.is_served:
            child.said_ready = True
            self.say(f"web is ready: {address.url}")

    def _start_again(self, child: Child) -> None:
        """Start a part; later, while the fork server is not ready, the disk is full, or WORKDIR is away."""
        if not self._forks.can_start(child.part):
            child.due_at = time.monotonic() + LOOK_S
            return
        try:
            self._start(child)
        except OSError as error:
            child.due_at = time.monotonic() + MAX_PAUSE_S
            self.say(f"{child.part} cannot be started now: {error}")

    def _start(self, child: Child) -> None:
        child.due_at = None
        child.said_ready = False
        child.ended = threading.Event()
        child.started_at = time.monotonic()
        environment = self._environment(of_the_node=child.part not in NOT_OF_THE_NODE)
        child.process = self._forks.start(child.part, environment, child.log)
        threading.Thread(
            target=self._await_end, args=(child, child.process, child.ended), daemon=True
        ).start()

    def _environment(self, *, of_the_node: bool) -> dict[str, str]:
        return {
            **os.environ,
            SUPERVISOR_PID: str(os.getpid()),
            "PROTEINX_WORKDIR": str(self.settings.workdir),
            **(self._node_environment if of_the_node else {}),
        }

    def _await_end(self, child: Child, process: PartProcess, ended: threading.Event) -> None:
        process.wait()
        ended.set()
        self._events.put(child)

    def _bury(self, child: Child) -> None:
        """Handle the death of a part: clean up, report it, and decide when it starts again."""
        assert child.process is not None
        kill_group(child.process.pid)
        lived = time.monotonic() - child.started_at
        pause = child.pause_after_death()
        child.log.ended()
        how = how_it_ended(child.process.returncode)
        again = "starting it again" if pause == 0 else f"starting it again in {pause:g} s"
        said = last_line(child.log.path) if child.process.returncode > 0 else ""
        self.say(
            f"{child.part} {how} after {lived:.0f} s; {again}." + (f" Last words: {said}" if said else "")
        )
        ask_to_reconcile(self.settings)

    # ------------------------------------------------------------------ stopping
    def _asked_to_stop(self, _number: int, _frame: Any) -> None:
        self._stops_asked += 1
        self._events.put(None)
        if self._stops_asked > 1:  # asked twice: kill at once
            for child in self.children.values():
                if child.process is not None and child.is_running:
                    kill_group(child.process.pid)

    def _stop(self) -> None:
        """Stop every part, round by round, and leave no process behind."""
        self._forks.end()
        stop_parts(self.children, self.say)
        forget(self.settings)
        for child in self.children.values():
            child.log.close()
