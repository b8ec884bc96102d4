"""Stop of a node's parts: intake first, the queue last, and no process is left behind."""

import time
from collections.abc import Callable, Mapping

import psutil

from proteinx_pipelines.node.processes.process_groups import ask_to_end, kill_group
from proteinx_pipelines.node.processes.supervised_part import Child

STOP_ROUNDS = (
    (("daemon", "code-server", "agent", "web"), 4.0),
    (("host", "worker"), 5.0),
    (("master",), 8.0),
    (("redis",), 3.0),
)
"""Stop order of the parts, each with its seconds before it is killed: intake first, the queue last."""
Say = Callable[[str], None]


def stop_parts(children: Mapping[str, Child], say: Say) -> None:
    """Stop every part, round by round, and kill what is left of the processes below this one."""
    before = descendants()
    for parts, patience in STOP_ROUNDS:
        running = [child for part in parts if (child := children.get(part)) and child.is_running]
        for child in running:
            if child.process is not None:
                ask_to_end(child.process)
        deadline = time.monotonic() + patience
        for child in running:
            if not child.ended.wait(max(0.0, deadline - time.monotonic())):
                say(f"{child.part} did not stop within {patience:g} s and is killed.")
            if child.process is not None:
                kill_group(child.process.pid)
                child.ended.wait(2.0)
    for process in [*before, *descendants()]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def descendants() -> list[psutil.Process]:
    """All processes below this one."""
    return psutil.Process().children(recursive=True)
