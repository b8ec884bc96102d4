"""A plugin for the step worker under test: records durably when a stage of an attempt begins and ends.

`CHAOS_JOURNAL` names the file; one JSON line a fact. A stage that begins while a living process still executes another
attempt of the same generation is recorded as an overlap, which must never happen.
"""

import json
import os
import time
from pathlib import Path

import psutil

from proteinx_pipelines.execution.attempt import Attempt

JOURNAL = Path(os.environ["CHAOS_JOURNAL"])
_run_stage = Attempt.run_stage


def write(**fact):
    line = json.dumps({"at": time.monotonic(), "pid": os.getpid(), **fact}) + "\n"
    descriptor = os.open(JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, line.encode())
    os.fsync(descriptor)
    os.close(descriptor)


def facts():
    lines = JOURNAL.read_text(encoding="utf-8").splitlines() if JOURNAL.is_file() else []
    return [json.loads(line) for line in lines]


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() not in (
        psutil.STATUS_ZOMBIE,
        psutil.STATUS_DEAD,
    )


def run_stage(self, name, record):
    me = {
        "id": self.directory.experiment_id,
        "generation": self.generation,
        "attempt": self.number,
        "stage": name,
    }
    running = {}
    for fact in facts():
        if (fact["id"], fact["generation"]) == (me["id"], me["generation"]):
            key = (fact["attempt"], fact["stage"], fact["pid"])
            running.update({key: fact}) if fact["event"] == "begin" else running.pop(key, None)
    for attempt, stage, pid in running:
        if pid != os.getpid() and is_alive(pid):
            write(event="overlap", with_attempt=attempt, with_stage=stage, with_pid=pid, **me)
    write(event="begin", **me)
    try:
        return _run_stage(self, name, record)
    finally:
        write(event="end", **me)


Attempt.run_stage = run_stage
