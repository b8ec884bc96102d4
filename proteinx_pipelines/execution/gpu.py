"""Load of the node's GPUs over a period, as NVIDIA's library reports it: utilisation, peak memory in use, energy."""

import contextlib
from collections.abc import Callable
from typing import Any


def told(pynvml: Any, ask: Callable[..., Any], *about: Any) -> Any:
    """Answer of NVIDIA's library; None where it has none."""
    try:
        return ask(*about)
    except pynvml.NVMLError:
        return None


class GpuWatch:
    """Samples every GPU of the machine, regardless of its users. Empty on a machine without one."""

    def __init__(self) -> None:
        import pynvml

        self._nvml: Any = pynvml
        self._handles: list[Any] = []
        self._names: list[str | None] = []
        self._seen: dict[int, tuple[list[float], list[int]]] = {}
        self._energy: dict[int, tuple[int, int]] = {}
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return
        found = range(told(pynvml, pynvml.nvmlDeviceGetCount) or 0)
        handles = [told(pynvml, pynvml.nvmlDeviceGetHandleByIndex, index) for index in found]
        self._handles = [handle for handle in handles if handle is not None]
        names = [told(pynvml, pynvml.nvmlDeviceGetName, handle) for handle in self._handles]
        self._names = [name.decode() if isinstance(name, bytes) else name for name in names]

    def look(self) -> None:
        """Take one sample."""
        for number, handle in enumerate(self._handles):
            busy, used = self._seen.setdefault(number, ([], []))
            rates = told(self._nvml, self._nvml.nvmlDeviceGetUtilizationRates, handle)
            memory = told(self._nvml, self._nvml.nvmlDeviceGetMemoryInfo, handle)
            busy += [] if rates is None else [float(rates.gpu)]
            used += [] if memory is None else [int(memory.used)]
            energy = told(self._nvml, self._nvml.nvmlDeviceGetTotalEnergyConsumption, handle)
            if energy is not None:  # millijoules since the driver was loaded
                self._energy[number] = (self._energy.get(number, (energy, 0))[0], energy)

    def usage(self) -> list[dict[str, Any]]:
        """One entry a GPU: `name`, `utilization_percent`, `peak_memory_bytes`, `joules`; None for unreported values."""
        entries = []
        for number in range(len(self._handles)):
            busy, used = self._seen.get(number, ([], []))
            first, last = self._energy.get(number, (None, None))
            entries.append(
                {
                    "name": self._names[number],
                    "utilization_percent": round(sum(busy) / len(busy), 1) if busy else None,
                    "peak_memory_bytes": max(used, default=None),
                    "joules": None if first is None or last is None else (last - first) / 1000,
                }
            )
        return entries

    def close(self) -> None:
        """Let go of the library; the samples stay."""
        if self._handles:
            with contextlib.suppress(self._nvml.NVMLError):
                self._nvml.nvmlShutdown()
