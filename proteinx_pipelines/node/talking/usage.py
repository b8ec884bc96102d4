"""Machine usage in a heartbeat: processor and memory always, GPUs where NVIDIA's library finds any."""

import contextlib
from pathlib import Path
from typing import Any

import psutil

from proteinx_pipelines.contract.heartbeat import Gpu
from proteinx_pipelines.execution.gpu import told


def machine_usage() -> dict[str, Any]:
    """CPU in percent of all cores since the last call, memory in bytes."""
    memory = psutil.virtual_memory()
    return {
        "cpu_percent": psutil.cpu_percent(),
        "cpu_count": psutil.cpu_count(),
        "memory_used_bytes": memory.used,
        "memory_total_bytes": memory.total,
    }


def disk_usage(folder: Path) -> dict[str, int]:
    """Free and total space of the file system of a folder, in bytes; nothing where it cannot be read."""
    try:
        found = psutil.disk_usage(str(folder))
    except OSError:
        return {}
    return {"disk_free_bytes": found.free, "disk_total_bytes": found.total}


def gpu_usage() -> tuple[Gpu, ...]:
    """One entry a GPU: name, utilisation in percent, memory in bytes; empty on a node without one.

    A value that a GPU does not report is None: a GPU cut into instances (MIG) has no utilisation, one that has fallen
    off its bus reports nothing. A heartbeat does not depend on it.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        count = told(pynvml, pynvml.nvmlDeviceGetCount)
        return tuple(_gpu(pynvml, index) for index in range(count or 0))
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int) -> Gpu:
    handle = told(pynvml, pynvml.nvmlDeviceGetHandleByIndex, index)
    name = memory = rates = None
    if handle is not None:
        name = told(pynvml, pynvml.nvmlDeviceGetName, handle)
        memory = told(pynvml, pynvml.nvmlDeviceGetMemoryInfo, handle)
        rates = told(pynvml, pynvml.nvmlDeviceGetUtilizationRates, handle)
    return Gpu(
        index=index,
        name=name.decode() if isinstance(name, bytes) else name,
        utilization_percent=None if rates is None else rates.gpu,
        memory_used_bytes=None if memory is None else memory.used,
        memory_total_bytes=None if memory is None else memory.total,
    )
