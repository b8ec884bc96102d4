"""Download one file over HTTP, with progress and a timeout on silence; a partial file never has the final name."""

import urllib.request
from pathlib import Path
from typing import IO

from proteinx_pipelines.experiment_dir.files import write_atomic
from proteinx_pipelines.monitor import StageMonitor

SILENCE_S = 20
"""Seconds without data after which a download fails."""
_CHUNK_BYTES = 1 << 20


def download(url: str, target: Path, monitor: StageMonitor) -> Path:
    """Fetch `url` into `target`; folders are made, and a cancelled or broken download leaves nothing.

    Raises:
        OSError: no network, no such file, or the transfer broke off; the text says which.
        Stopped: the experiment was cancelled meanwhile.
    """

    def fetch(partial: Path) -> None:
        # The address is a constant of this package: no other scheme than https can come in.
        with urllib.request.urlopen(url, timeout=SILENCE_S) as response, partial.open("wb") as stream:  # noqa: S310
            expected = int(response.headers.get("Content-Length") or 0)
            received = _copy(response, stream, expected, f"downloading {target.name}", monitor)
        if expected and received != expected:
            raise OSError(f"the connection broke after {received} of {expected} bytes")

    return write_atomic(target, fetch)


def _copy(source: IO[bytes], stream: IO[bytes], expected: int, note: str, monitor: StageMonitor) -> int:
    received = 0
    while chunk := source.read(_CHUNK_BYTES):
        stream.write(chunk)
        received += len(chunk)
        monitor.progress(received, max(expected, received), note)
    return received
