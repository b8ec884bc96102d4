"""A process that begins an attempt, is stopped (SIGSTOP) at a named point, and goes on when somebody continues it.

    python -m proteinx_pipelines_tests.chaos.zombie WORKDIR REDIS_URL POINT [unguarded]

Started by `test_lost_workers` only. `unguarded`: it assumes that it owns the experiment, against `state.db`.
Prints its end: `refused` or `wrote`.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.execution.publishing import Publisher
from proteinx_pipelines.ledger import ledger as store
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import attempt_end as finish
from proteinx_pipelines_tests.chaos.crash import execute, settings_of

POINTS = {"publishing its files": (Publisher, "publish"), "writing its result": (finish, "finish_generation")}


def stop_before(point: str) -> None:
    """Stop this process before a function, once."""
    owner, name = POINTS[point]
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        setattr(owner, name, original)
        os.kill(os.getpid(), signal.SIGSTOP)
        return original(*args, **kwargs)

    setattr(owner, name, patched)


def take_guards_off() -> None:
    """Neither the fence of the files nor that of the state asks who is the current attempt."""
    Ledger.holds = lambda *_: True  # type: ignore[method-assign]
    store._as_read = lambda current: store.this_generation(current.experiment_id, current.generation)


def main(workdir: str, redis_url: str, point: str, *options: str) -> None:
    settings = settings_of(Path(workdir), redis_url)
    state = Ledger(settings.state_path)
    (current,) = state.in_state("PENDING")
    stop_before(point)
    if options:
        take_guards_off()
    try:
        execute(settings, state, current)
    except Superseded:
        sys.stdout.write("refused\n")
    else:
        sys.stdout.write("wrote\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
