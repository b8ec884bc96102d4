"""Experiments on a small disk that is filled just before a given write; then room is made and the next one is served.

    unshare -rm python disk_full.py MOUNT_POINT REDIS_URL [--without-reserve] WRITE...

Runs in a mount namespace of its own. Prints one JSON line for each write: the end of the generation during which
the disk became full, the end of the next one, and the state of everything that has to be intact. Functions wrapped
around the writes fill the disk; the node has no switch for it.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.execution import attempt as attempts
from proteinx_pipelines.execution import publishing
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.failure import failure_code
from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.stage_context import Workplace
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import attempt_end as finish
from proteinx_pipelines.node.lifecycle import dispatch as dispatching
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.disk_reserve import keep_reserve, with_reserve
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.node.talking.connections import master_queue
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.queue.queue import connect
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO

STAGES = always_made()

DEMO = (
    Path(__file__).resolve().parents[2] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
)
RIDGE = {"model": {"name": "ridge"}}
MLP = {"model": {"name": "mlp"}, "train": {"max_epochs": 4, "patience": 4}}
PAGES = 16_384
"""Bytes that may be left free: some writes of a stage fit, its files do not."""


class Write(NamedTuple):
    """One write in front of which the disk becomes full."""

    owner: Any
    function: str
    time: int = 1
    """Number of the call to the function."""
    kept: int = 0
    """Bytes left free."""
    flags: dict[str, Any] = RIDGE
    ends: str = "FAILED"


def _stage(name: str) -> int:
    return STAGES.index(name) + 1


WRITES = {
    "state.db: a message": Write(Ledger, "accept", ends="claimed"),
    "experiment.json at the start": Write(dispatching, "write_document"),
    "config/flags.json": Write(attempts, "write_json"),
    "the selection": Write(Attempt, "run_stage", _stage("selection"), PAGES),
    "the transform": Write(Attempt, "run_stage", _stage("transform"), PAGES),
    "the embedding": Write(Attempt, "run_stage", _stage("embedding")),
    "the split": Write(Attempt, "run_stage", _stage("split")),
    "the training": Write(Attempt, "run_stage", _stage("train"), PAGES),
    "the third checkpoint": Write(AtomicCheckpointIO, "save_checkpoint", 3, PAGES, MLP),
    "metrics of a training": Write(ExecutionMonitor, "metric", 5, 0, MLP),
    "the trained model": Write(Workplace, "_save", _stage("train")),
    "the evaluation": Write(Attempt, "run_stage", _stage("evaluate")),
    "the report": Write(Workplace, "_save", _stage("evaluate"), PAGES),
    "config/pipeline.json": Write(publishing, "write_pipeline", _stage("split")),
    "the store": Write(StageStore, "put", _stage("split")),
    "state.db: a stage": Write(Ledger, "note_stage", _stage("embedding")),
    "experiment.json at the end": Write(finish, "write_document", ends="SUCCEEDED"),
    "state.db: the result": Write(Ledger, "finish", ends="SUCCEEDED"),
}
"""Writes between a message and its result."""


class Disk:
    """The small disk, and what takes the room on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self, kept: int) -> None:
        """Take all room but `kept` bytes."""
        disk = os.statvfs(self.folder)
        with self.ballast.open("wb") as stream:
            stream.write(bytes(max(0, disk.f_bavail * disk.f_bsize - kept)))

    def make_room(self) -> bool:
        """Give it back; whether it was taken."""
        was_full = self.ballast.exists()
        self.ballast.unlink(missing_ok=True)
        return was_full

    def fill_before(self, write: Write) -> Callable[[], None]:
        """Put the filling in front of a write, once; what takes it out again."""
        original, calls = getattr(write.owner, write.function), []

        def patched(*args: Any, **kwargs: Any) -> Any:
            calls.append(1)
            if len(calls) == write.time:
                self.fill(write.kept)
            return original(*args, **kwargs)

        setattr(write.owner, write.function, patched)
        return lambda: setattr(write.owner, write.function, original)


def work_off(dispatch: Dispatch, state: Ledger, settings: Settings) -> None:
    """Do the work of sensor, run host and step worker for the waiting messages."""
    for current, _stages in dispatch.wait_for_work(0.0):
        token = state.begin(
            "e",
            current.generation,
            1,
            run_id=f"run-{current.generation}",
            host_pid=os.getpid(),
            timeout_s=None,
        )
        end = _executed(settings, state, current, token)
        finish_attempt(settings, state, state.latest("e"), end)


def _executed(settings: Settings, state: Ledger, current: Generation, token: str) -> RunEnd:
    try:
        attempt = Attempt(
            settings,
            "e",
            parse_flags(dict(current.flags)),
            generation=current.generation,
            state=state,
            token=token,
        )
        for name in STAGES:
            attempt.publish(attempt.run_stage(name, attempt.record))
    except Exception as error:  # noqa: BLE001  # as the asset does
        code, text = failure_code(error), str(error)
        with_reserve(settings, lambda: state.note_error(token, code, text, ""))
        return RunEnd.FAILURE
    return RunEnd.SUCCESS


def one_write(folder: Path, redis_url: str, name: str) -> dict[str, Any]:
    """The whole story of one write."""
    write, workdir, disk = WRITES[name], folder / "workdir", Disk(folder)
    client = connect(redis_url)
    client.flushdb()
    settings = load_settings({"PROTEINX_WORKDIR": str(workdir), "REDIS_URL": redis_url}, folder)
    prepare_workdir(settings)
    keep_reserve(settings)
    import_file(settings.database_path, DEMO)
    state = Ledger(settings.state_path)
    lock = ProcessLock(settings.run_dir / "intake.lock", "The intake")
    dispatch = Dispatch(settings, state, Intake(settings, state, master_queue(settings)), lock)
    flags = {"data": {"source": "GB1_Nisthal_2019", "limit": 300}, "evaluate": {"bootstrap": 0},
             "run": {"allow_duplicate": True}, **write.flags}  # fmt: skip
    found: dict[str, Any] = {"write": name}
    for generation in (1, 2):
        client.lpush(
            "experiments", json.dumps({"experiment_id": "e", "flags": flags, "message_id": f"m{generation}"})
        )
        restore = disk.fill_before(write) if generation == 1 else (lambda: None)
        try:
            work_off(dispatch, state, settings)
        except BackendError as error:  # the tick fails; nothing was acknowledged
            found["trouble"] = str(error)[:200]
        restore()
        if generation == 1:
            found["claimed"] = client.llen("experiments:processing:" + settings.node_name)
            found["checkpoint"] = _newest_checkpoint(settings)
            found["was full"] = disk.make_room()
            found["read"] = _read_state(settings)
            dispatch.recover_at = 0.0
            work_off(dispatch, state, settings)  # the node goes on with what it could not do
        keep_reserve(settings)
    results = sorted(
        map(json.loads, client.lrange("experiments:results", 0, -1)), key=lambda each: each["generation"]
    )
    found["results"] = [[each["status"], (each["error"] or {}).get("code")] for each in results]
    found["reserve"] = (settings.run_dir / "reserve").is_file()
    found["partial"] = [path.name for path in settings.experiments_dir.rglob("*.partial")]
    lock.release()
    state.engine.dispose()
    shutil.rmtree(workdir)
    return found


def _newest_checkpoint(settings: Settings) -> int | None:
    """The step of the checkpoint that a training left, as a later one would read it; None when there is none."""
    left = list((settings.workdir / "staging").rglob("last.ckpt"))
    return int(AtomicCheckpointIO().load_checkpoint(left[0])["global_step"]) if left else None


def _read_state(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.state_path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def main() -> None:
    folder, redis_url = Path(sys.argv[1]), sys.argv[2]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    names = sys.argv[3:]
    if names[0] == "--without-reserve":  # the guard off: nothing is kept for saying that there is no room
        names = names[1:]
        for module in (finish, sys.modules[__name__]):
            module.with_reserve = lambda _settings, record: record()  # type: ignore[attr-defined]
    for name in names:
        sys.stdout.write(json.dumps(one_write(folder, redis_url, name)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
