"""One experiment on a small disk that is filled before a given stage; then room is made and it is tried again.

    unshare -rm python disk_full.py MOUNT_POINT REDIS_URL STAGE KEPT_BYTES

Runs in a mount namespace of its own. Prints one JSON document: what the result said, whether `state.db` is sound, and
how the second generation ended. `KEPT_BYTES` is what is left free; 0 leaves the reserve only.
"""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.execution.attempt import Attempt
from proteinx_pipelines.execution.failure import failure_code
from proteinx_pipelines.experiment_dir.layout import STAGES
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.inbox.queue import connect
from proteinx_pipelines.node.finish import RunEnd, finish_attempt
from proteinx_pipelines.node.intake import Intake
from proteinx_pipelines.node.line import master_queue
from proteinx_pipelines.node.reserve import keep_reserve, with_reserve
from proteinx_pipelines.node.workdir import prepare_workdir
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.state.store import StateStore

DEMO = (
    Path(__file__).resolve().parents[2] / "proteinx_pipelines" / "demo" / "data" / "GB1_Nisthal_2019.csv.gz"
)
FLAGS = {
    "data": {"source": "GB1_Nisthal_2019"}, "model": {"name": "ridge"}, "evaluate": {"bootstrap": 0},
    "run": {"allow_duplicate": True},
}  # fmt: skip


def fill(folder: Path, kept: int) -> Path:
    """Take all room but `kept` bytes."""
    ballast = folder / "ballast"
    disk = os.statvfs(folder)
    with ballast.open("wb") as stream:
        stream.write(bytes(max(0, disk.f_bavail * disk.f_bsize - kept)))
    return ballast


def main() -> None:
    folder, redis_url, stage, kept = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=True)
    settings = load_settings({"PROTEINX_WORKDIR": str(folder), "REDIS_URL": redis_url}, folder)
    prepare_workdir(settings)
    keep_reserve(settings)
    import_file(settings.database_path, DEMO)
    state = StateStore(settings.state_path)
    intake = Intake(settings, state, master_queue(settings))
    ballast = None
    for generation in (1, 2):
        message = {"experiment_id": "e", "flags": FLAGS, "message_id": f"m{generation}"}
        intake.ingest(json.dumps(message).encode())
        current = state.latest("e")
        token = state.begin(
            "e", generation, 1, run_id=f"run-{generation}", host_pid=os.getpid(), timeout_s=None
        )
        attempt = Attempt(
            settings, "e", parse_flags(dict(current.flags)), generation=generation, state=state, token=token
        )
        end = RunEnd.SUCCESS
        try:
            for name in STAGES:
                if generation == 1 and name == stage:
                    ballast = fill(folder, kept)
                attempt.publish(attempt.run_stage(name, attempt.record))
        except Exception as error:  # noqa: BLE001  # as the asset does
            end, code, text = RunEnd.FAILURE, failure_code(error), str(error)
            with_reserve(settings, lambda: state.note_error(token, code, text, ""))  # noqa: B023
        finish_attempt(settings, state, state.latest("e"), end)
        if ballast is not None:
            ballast.unlink()
            ballast = None
        keep_reserve(settings)
    sent = [json.loads(raw) for raw in connect(redis_url).lrange("experiments:results", 0, -1)]
    with sqlite3.connect(settings.state_path) as connection:
        sound = connection.execute("PRAGMA integrity_check").fetchone()[0]
    first, second = sorted(sent, key=lambda result: result["generation"])
    document = {
        "first": [first["status"], (first["error"] or {}).get("code"), (first["error"] or {}).get("message")],
        "second": [second["status"], (second["error"] or {}).get("message")],
        "sound": sound,
        "reserve": (settings.run_dir / "reserve").is_file(),
        "partial": [str(path) for path in settings.experiments_dir.rglob("*.partial")],
    }
    sys.stdout.write(json.dumps(document) + "\n")


if __name__ == "__main__":
    main()
