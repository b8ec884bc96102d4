"""GPUs in a heartbeat, when NVIDIA's library answers in part or not at all."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from proteinx_pipelines.node.talking.usage import gpu_usage

ENTRY = {
    "index": 0, "name": "NVIDIA H100", "utilization_percent": 40, "memory_used_bytes": 3, "memory_total_bytes": 80,
}  # fmt: skip


class NVMLError(Exception):
    """As `pynvml.NVMLError`: no error of this project."""


class Library:
    """NVIDIA's library on a machine with two GPUs; each call named in `broken` fails."""

    NVMLError = NVMLError

    def __init__(self, *broken: str) -> None:
        self.open = 0
        self._answers = {
            "nvmlInit": lambda: self._count(1),
            "nvmlShutdown": lambda: self._count(-1),
            "nvmlDeviceGetCount": lambda: 2,
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetName": lambda _handle: b"NVIDIA H100",
            "nvmlDeviceGetMemoryInfo": lambda _handle: SimpleNamespace(used=3, total=80),
            "nvmlDeviceGetUtilizationRates": lambda _handle: SimpleNamespace(gpu=40),
        }
        for name in broken:
            self._answers[name] = self._fail

    def __getattr__(self, name: str) -> Any:
        return self._answers[name]

    def _count(self, by: int) -> None:
        self.open += by

    def _fail(self, *_about: Any) -> Any:
        raise NVMLError("Not Supported")


def told(monkeypatch: pytest.MonkeyPatch, *broken: str) -> list[dict[str, Any]]:
    library = Library(*broken)
    monkeypatch.setitem(sys.modules, "pynvml", library)
    found = [gpu.document() for gpu in gpu_usage()]
    assert library.open == (1 if "nvmlShutdown" in broken else 0)
    return found


def test_every_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch) == [ENTRY, {**ENTRY, "index": 1}]


@pytest.mark.parametrize(
    ("broken", "unknown"),
    [
        ("nvmlDeviceGetUtilizationRates", ["utilization_percent"]),
        ("nvmlDeviceGetMemoryInfo", ["memory_used_bytes", "memory_total_bytes"]),
        ("nvmlDeviceGetName", ["name"]),
        ("nvmlDeviceGetHandleByIndex", [name for name in ENTRY if name != "index"]),
        ("nvmlShutdown", []),
    ],
)
def test_what_a_gpu_does_not_tell_is_null(
    monkeypatch: pytest.MonkeyPatch, broken: str, unknown: list[str]
) -> None:
    """One that is cut into instances has no utilisation: the agent died of it at each heartbeat, for ever."""
    assert told(monkeypatch, broken)[0] == {**ENTRY, **dict.fromkeys(unknown)}


@pytest.mark.parametrize("broken", ["nvmlInit", "nvmlDeviceGetCount"])
def test_a_library_that_sees_no_gpu_is_no_gpu(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    assert told(monkeypatch, broken) == []
