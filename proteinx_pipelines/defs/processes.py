"""Entry points of the node's processes that carry Dagster: step worker, run host, daemon, agent.

Each is one command (`proteinx worker`, ...), started by `proteinx up` or by hand. This module starts them, marks them
ready, and stops them; other modules do their work.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import dagster as dg
from celery.signals import setup_logging, worker_before_create_process, worker_process_init, worker_ready

from proteinx_pipelines.defs.run_history import RunHistory
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.processes.celery_app import current_app, runs_queue, steps_queue
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.node.processes.ready_parts import beat, keep_marked
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.node.talking.agent import Agent
from proteinx_pipelines.plugins import load_plugins
from proteinx_pipelines.settings import Settings


def run_worker(settings: Settings) -> None:
    """The step worker: Celery, one process that executes stages, and a parent that notices when it dies."""
    pool = "solo" if os.name == "nt" else "prefork"  # Celery's prefork pool does not work on Windows
    worker_before_create_process.connect(_freeze, weak=False)
    worker_process_init.connect(_prepare_step_process, weak=False)
    _preload()
    _work(settings, "worker", steps_queue(settings), pool)


def run_host(settings: Settings) -> None:
    """The run host: Celery without a pool, executing one run's loop at a time in this process."""
    _work(settings, "host", runs_queue(settings), "solo", before=_end_left_behind)


def run_daemon(settings: Settings, arguments: list[str]) -> None:
    """Dagster's daemon, with a sensor loop that does not pause between ticks."""
    from dagster._daemon.cli import run_command

    from proteinx_pipelines.defs.private.sensor_daemon import quicken_sensor_daemon

    _hold(settings, "daemon")
    quicken_sensor_daemon(lambda: beat(settings, "daemon"))
    run_command.main(args=arguments, prog_name="proteinx daemon")


def run_agent(settings: Settings) -> None:
    """The agent, until SIGTERM or SIGINT."""
    _hold(settings, "agent")
    runs = RunHistory(dg.DagsterInstance.get())
    agent = Agent(settings, Ledger(settings.state_path), runs)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: agent.stopping.set())
    agent.run()


def _work(
    settings: Settings, part: str, queue: str, pool: str, before: Callable[[], None] = lambda: None
) -> None:
    from proteinx_pipelines.defs import tasks  # registers the tasks on the application

    assert tasks.app is current_app()
    _hold(settings, part)
    before()
    setup_logging.connect(_leave_logging_alone, weak=False)
    worker_ready.connect(lambda **_: keep_marked(settings, part), weak=False)
    arguments = [
        "worker", "--queues", queue, "--pool", pool, "--concurrency", "1", "--hostname",
        f"{part}@{settings.node_name}", "--loglevel", settings.log_level, "--without-gossip", "--without-mingle",
        "--without-heartbeat",
    ]  # fmt: skip
    current_app().worker_main(arguments)


def _leave_logging_alone(**_: Any) -> None:
    """Keep Celery from setting up loggers and from turning printed text into warnings: `part_logging` did the setup."""


def _end_left_behind() -> None:
    from proteinx_pipelines.defs.tasks import node_instance

    RunHistory(node_instance()).end_left_behind()


def _hold(settings: Settings, part: str) -> None:
    """Lock the part of this process: a second one refuses to start and names the holder."""
    prepare_workdir(settings)
    lock = PartLock(settings.paths, part, f"The {part}")
    lock.acquire()
    _held.append(lock)


_held: list[PartLock] = []


def _preload() -> None:
    """Import what every step process needs, before the pool forks: a fresh one then starts in a tenth of a second.

    Not torch and lightning, which a ridge on one-hot never needs: they are most of a node's memory.
    """
    import proteinx_pipelines.definitions  # noqa: F401

    load_plugins()


def _freeze(**_: Any) -> None:
    """Before the pool forks: the collector of the step process leaves the shared pages alone."""
    gc.collect()
    gc.freeze()


def _prepare_step_process(**_: Any) -> None:
    """In the forked step process: die with the parent, so that no orphan keeps writing."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
