"""A process that takes one message to its result with the node's own functions, and dies at a named point.

    python crash.py WORKDIR REDIS_URL POINT SIGKILL|SIGTERM [GUARD]

SIGKILL ends it there and then; at SIGTERM it unwinds, as Python does behind a handler: transactions are rolled back,
files closed. `GUARD` is switched off. Started by `test_crash_points` only: points and switches are patched in from
outside; the node itself has none. The
stages are replaced by two files, so that a case takes a second; the test is about the order of writes.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from proteinx_pipelines.execution import publishing
from proteinx_pipelines.execution.attempt import Attempt, StageResult
from proteinx_pipelines.execution.publishing import Publisher
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_json
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger import arrivals
from proteinx_pipelines.ledger import ledger as store
from proteinx_pipelines.ledger.engine import transaction
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import attempt_end as finish
from proteinx_pipelines.node.lifecycle import intake
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.talking.connections import master_queue
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.queue.answers import MasterLine
from proteinx_pipelines.queue.queue import RedisQueue
from proteinx_pipelines.settings import Settings, load_settings

REPORT = Path(__file__).parents[1] / "frozen/release_0_1_0/experiments/gb1-ridge/artifacts/report.json"
"""Any report that can be read."""
POINTS = {
    "after the claim": (RedisQueue, "dequeue", "after"),
    "before the decision": (Intake, "_accept", "before"),
    "inside the transaction": (arrivals, "note_decided", "before"),
    "after the commit": (Intake, "ingest", "after"),
    "after the acknowledgement": (RedisQueue, "ack", "after"),
    "after the note is forgotten": (Ledger, "forget_decided", "after"),
    "before the attempt begins": (Ledger, "begin", "before"),
    "after the attempt began": (Ledger, "begin", "after"),
    "before files move": (Publisher, "_move", "before"),
    "between two files": (publishing, "sync_folder", "before"),
    "after files moved": (Publisher, "_move", "after"),
    "after the stage is recorded": (Publisher, "_record", "after"),
    "after the stage is remembered": (Ledger, "note_stage", "after"),
    "before the document": (finish, "write_document", "before"),
    "before the terminal state": (Ledger, "finish", "before"),
    "after the terminal state": (Ledger, "finish", "after"),
    "between state and result": (store, "owe", "before"),
    "before the push": (MasterLine, "deliver", "before"),
    "after the push": (MasterLine, "deliver", "after"),
    "after the delivery is noted": (Ledger, "delivered", "after"),
}


def die_at(point: str, number: signal.Signals) -> None:
    """Put a signal to this process before or after a function."""
    owner, name, when = POINTS[point]
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), number)
        found = original(*args, **kwargs)
        if not (name == "dequeue" and found is None):
            os.kill(os.getpid(), number)
        return found

    setattr(owner, name, patched)


def acknowledge_at_once() -> None:
    """Guard off: a message is off the claimed list before it is in `state.db`, as if it had been popped."""
    dequeue = RedisQueue.dequeue

    def popped(queue: RedisQueue, wait_s: float) -> bytes | None:
        found = dequeue(queue, wait_s)
        if found is not None:
            queue.ack(found)
        return found

    RedisQueue.dequeue = popped  # type: ignore[method-assign]


def push_unmarked() -> None:
    """Guard off: a result is pushed without a marker beside it."""
    MasterLine.deliver = lambda line, _id, _copy, payload, _to=None: bool(
        line._client.lpush(line.result_list(), payload)
    )  # type: ignore[method-assign]


def answer_apart() -> None:
    """Guard off: the terminal state is one transaction, the result that goes with it another."""
    finish_ = Ledger.finish

    def apart(state: Ledger, current: Any, outcome: Any, result_id: str, payload: str) -> bool:
        with mock.patch.object(store, "owe"):
            changed = finish_(state, current, outcome, result_id, payload)
        with transaction(state.engine) as connection:
            store.owe(connection, result_id, current.experiment_id, payload, None)
        return changed

    Ledger.finish = apart  # type: ignore[method-assign]


UNGUARDED = {
    "claims": acknowledge_at_once,
    "markers": push_unmarked,
    "one transaction": answer_apart,
}


def fact_of(path: Path) -> dict[str, Any]:
    """Entry of a file in `pipeline.json`."""
    return {"size": path.stat().st_size, "sha256": file_sha256(path)}


def execute(settings: Any, state: Ledger, current: Any) -> None:
    """One attempt: a stage publishes two files, and the run ends well."""
    token = state.begin(
        current.experiment_id, current.generation, current.attempt, run_id=f"run-{current.attempt}",
        host_pid=os.getpid(), timeout_s=None,
    )  # fmt: skip
    attempt = Attempt(
        settings, current.experiment_id, parse_flags(dict(current.flags)), generation=current.generation,
        number=current.attempt, state=state, token=token,
    )  # fmt: skip
    names = ("splits/assignment.json", "artifacts/report.json")
    report = read_json(REPORT)
    for name in names:
        document = {**report, "attempt": current.attempt, "summary": {"test/spearman": 0.5}}
        write_json(attempt.staging.path(name), document)
    files = {name: fact_of(attempt.staging.path(name)) for name in names}
    entry = StageEntry(f"{current.attempt:064x}", "1", {}, {}, {"all": "x"}, files, "computed",
                       origin={"generation": current.generation})  # fmt: skip
    attempt.publish(StageResult("split", None, entry, is_new=True))
    running = state.generation(current.experiment_id, current.generation)
    assert running is not None
    finish_attempt(settings, state, running, RunEnd.SUCCESS)


def live(settings: Settings) -> None:
    """Recover what an earlier life left, take what waits, execute what is due, deliver what is not delivered."""
    state = Ledger(settings.state_path)
    taker = Intake(settings, state, master_queue(settings))
    for current in state.in_state("RUNNING"):  # what the reconciler does: this process is the only one
        state.retry(current, delay_s=0, reason="its process is gone", counts=False)
    taker.recover()
    taker.take_waiting()
    for current in state.due(10):
        execute(settings, state, current)
    intake.deliver_results(settings, state)


def settings_of(workdir: Path, redis_url: str) -> Settings:
    """The settings of every life in one test."""
    environment = {"PROTEINX_WORKDIR": str(workdir), "REDIS_URL": redis_url, "PROTEINX_NODE_NAME": "crash"}
    return load_settings(environment, workdir)


if __name__ == "__main__":
    for guard in sys.argv[5:]:
        UNGUARDED[guard]()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    die_at(sys.argv[3], signal.Signals[sys.argv[4]])
    live(settings_of(Path(sys.argv[1]), sys.argv[2]))
