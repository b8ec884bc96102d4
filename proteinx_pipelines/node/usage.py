"""What a heartbeat says of the machine: processor and memory always, GPUs where NVIDIA's library finds any."""

import contextlib
from typing import Any

import psutil


def machine_usage() -> dict[str, Any]:
    """CPU in percent of all cores since the last call, memory in bytes."""
    memory = psutil.virtual_memory()
    return {
        "cpu_percent": psutil.cpu_percent(),
        "cpu_count": psutil.cpu_count(),
        "memory_used_bytes": memory.used,
        "memory_total_bytes": memory.total,
    }


def gpu_usage() -> list[dict[str, Any]]:
    """One entry a GPU: name, utilisation in percent, memory in bytes; empty on a node without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(pynvml: Any, index: int) -> dict[str, Any]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    name = pynvml.nvmlDeviceGetName(handle)
    return {
        "index": index,
        "name": name.decode() if isinstance(name, bytes) else name,
        "utilization_percent": pynvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "memory_used_bytes": memory.used,
        "memory_total_bytes": memory.total,
    }
