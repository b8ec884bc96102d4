"""Scheduler and workers of a test's Dask cluster, forked from one process that has imported everything once.

    python -m proteinx_pipelines_tests.dask_forks     # a line of JSON -> the id of a process

Each is a process of its own, to be killed like one; what it saves is a second or more of imports for each. All of them
end with this process, and this process when nobody holds its input any more.
"""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys

IMPORTED = (
    "distributed.cli.dask_scheduler",
    "distributed.cli.dask_worker",
    "proteinx_pipelines_tests.gated_shards",
)

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Serve requests until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for what has ended
    children, here = [], os.getpid()
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        for name in request["imports"]:
            importlib.import_module(name)
        pid = os.fork()
        if pid == 0:
            _die_with(here)
            _be(request["program"], request["words"], request["environment"])
        children.append(pid)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _die_with(parent: int) -> None:
    """On Linux, have the kernel kill this process when its parent dies, even when that was a SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _be(program: str, words: list[str], environment: dict[str, str]) -> None:
    """Become a program of Dask; does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    try:
        importlib.import_module(program).main(words, standalone_mode=False)
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
