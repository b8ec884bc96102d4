"""Detects that the kernel has killed a process of the node because memory ran out.

Linux counts such kills for every control group. A count that has grown while an attempt ran, and an attempt whose
process vanished without a word, are one event. Where nothing counts (another system, a container that hides its group,
a group that ends with its process, a daemon like systemd-oomd that kills by itself) an attempt reads as lost.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.processes.ready_parts import pid_of
from proteinx_pipelines.settings import Settings

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
_FILES = {"": ("", "memory.events"), "memory": ("memory", "memory.oom_control")}
"""Controller in `/proc/<pid>/cgroup` -> where its groups are mounted and which file counts: version 2, version 1."""


def count_oom_kills(settings: Settings) -> int | None:
    """Number of processes of the step worker's control group killed for memory; None where there is no count."""
    pid = pid_of(settings, "worker") or os.getpid()
    return next(_counts(pid), None)


def was_killed_for_memory(settings: Settings, current: Generation) -> bool:
    """True if the kernel has killed for memory since an attempt began; false where it cannot be known."""
    now = count_oom_kills(settings)
    return now is not None and current.oom_kills is not None and now > current.oom_kills


def memory_message(current: Generation) -> str:
    """Error message of such an attempt."""
    during = f" during {current.stage}" if current.stage else ""
    return (
        f"The machine ran out of memory{during}, and the kernel killed the process that ran the stage. Use fewer rows, "
        "smaller batches or a smaller model, or give the node more memory."
    )


def _counts(pid: int) -> Iterator[int]:
    """Read the counts of a process's groups, the memory controller's own (version 1) first."""
    try:
        lines = (PROC / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    groups = {controller: path for _, controllers, path in (line.split(":", 2) for line in lines)
              for controller in controllers.split(",")}  # fmt: skip
    for controller in ("memory", ""):
        if controller not in groups:
            continue
        mount, name = _FILES[controller]
        for folder in (
            groups[controller].lstrip("/"),
            "",
        ):  # in a container, the group may be mounted as the root
            found = _oom_kills_in(CGROUPS / mount / folder / name)
            if found is not None:
                yield found
                break


def _oom_kills_in(path: Path) -> int | None:
    try:
        facts = dict(line.split() for line in path.read_text(encoding="ascii").splitlines())
        return int(facts["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
