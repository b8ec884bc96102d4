"""Resources used by one stage: seconds, processor time, peak memory, and GPUs where NVIDIA's library finds any.

A thread samples this process and its child processes a few times a second. On Linux the system itself records the peak
memory of this process, so that a peak between two samples is not missed.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import psutil

from proteinx_pipelines.execution.energy import CpuEnergy
from proteinx_pipelines.execution.gpu import GpuWatch

LOOK_S = 0.25
"""Pause between two samples, in seconds."""
_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_CHILDREN = Path("/proc/thread-self/children")
_RESET_PEAK = "5"  # Linux' documentation of /proc, `clear_refs`


class Meter:
    """Measures between enter and exit. `usage` may be called at any time, also inside the block."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._gpus = GpuWatch()
        self._energy = CpuEnergy()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._peak = 0
        self._children_cpu: dict[int, float] = {}
        self._ended_at: float | None = None

    def __enter__(self) -> Self:
        self._began_at, self._cpu_before = time.monotonic(), _own_cpu()
        _forget_peak()
        self._look()
        self._thread = threading.Thread(target=self._watch, name="resources", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()
        self._peak = max(
            self._peak, _peak_of_this_process()
        )  # read now: the next stage resets the system's record
        self._ended_at = time.monotonic()
        self._cpu_after = _own_cpu()
        self._gpus.close()

    def usage(self) -> dict[str, Any]:
        """Plain JSON: `cpu_seconds`, `cpu_percent` (100 is one core), `peak_memory_bytes`, `cpu_joules`, `gpus`."""
        ended = self._ended_at is not None
        seconds = (self._ended_at if self._ended_at is not None else time.monotonic()) - self._began_at
        with self._lock:
            # Ended child processes are in this process's own account; running ones are not yet.
            cpu = (
                (self._cpu_after if ended else _own_cpu())
                - self._cpu_before
                + sum(self._children_cpu.values())
            )
            peak = self._peak if ended else max(self._peak, _peak_of_this_process())
        return {
            "cpu_seconds": round(cpu, 3),
            "cpu_percent": round(100 * cpu / max(seconds, 1e-3), 1),
            "peak_memory_bytes": peak,
            "cpu_joules": self._energy.joules,
            "gpus": self._gpus.usage(),
        }

    def _watch(self) -> None:
        while not self._done.wait(LOOK_S):
            self._look()

    def _look(self) -> None:
        memory, cpu = 0, {}
        with contextlib.suppress(psutil.Error):
            memory = self._process.memory_info().rss
            for child in _descendants(self._process):
                with contextlib.suppress(psutil.Error):
                    memory += child.memory_info().rss
                    times = child.cpu_times()
                    cpu[child.pid] = times.user + times.system
        self._gpus.look()
        self._energy.look()
        with self._lock:
            self._peak = max(self._peak, memory)
            self._children_cpu = cpu


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    """Descendants of this process, from the kernel's own list where there is one: psutil reads the whole machine's."""
    if not _CHILDREN.exists():
        return process.children(recursive=True)
    found, waiting = [], [process.pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError, psutil.Error):
                for text in path.read_text(encoding="ascii").split():
                    found.append(psutil.Process(int(text)))
                    waiting.append(int(text))
    return found


def _own_cpu() -> float:
    """Processor time of this process and of those it started and waited for, in seconds."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _forget_peak() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a container may forbid it: the samples must then suffice
            _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")


def _peak_of_this_process() -> int:
    """Peak memory of this process since `_forget_peak`, in bytes; 0 where the system does not report it."""
    if sys.platform != "linux":
        return 0
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0


def in_words(resources: Mapping[str, Any]) -> str:
    """Resource use for a person: `210 MB at most, 0.9 core`; empty where nothing was measured."""
    if not resources:
        return ""
    memory, cores = _bytes(resources.get("peak_memory_bytes")), float(resources.get("cpu_percent") or 0) / 100
    told = [f"{memory} at most", f"{cores:.1f} core{'' if cores <= 1 else 's'}"]
    for gpu in resources.get("gpus", ()):
        busy = gpu.get("utilization_percent")
        shown = "" if busy is None else f" busy {busy:.0f} %,"
        told.append(
            f"{gpu.get('name') or 'GPU'}{shown} {_bytes(gpu.get('peak_memory_bytes'))} of its memory at most"
        )
    return ", ".join(told)


def _bytes(number: int | None) -> str:
    if number is None:
        return "unknown memory"
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
