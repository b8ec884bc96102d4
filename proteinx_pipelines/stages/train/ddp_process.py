"""One process of a distributed training: `python -m proteinx_pipelines.stages.train.ddp_process SPEC`.

Started by `ddp_launch`, and again by Lightning for the other ranks. Standard output carries only messages to the
parent.
"""

import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any

from proteinx_pipelines.experiment_dir.files import json_ready, write_bytes, write_json
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.ddp_launch import ERROR_PREFIX, RESULT_FILE, WEIGHTS_FILE
from proteinx_pipelines.stages.train.meeting import address_towards
from proteinx_pipelines.stages.train.processes import die_with_parent

_PROGRESS_INTERVAL_S = 0.2


class LineMonitor(StageMonitor):
    """Writes each call as one line of JSON; `ddp_launch` repeats the calls on the stage's monitor."""

    def __init__(self, channel: IO[str]) -> None:
        self._channel = channel
        self._last = 0.0

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Send progress, at most five times a second. Never raises: the parent ends this process instead."""
        if time.monotonic() - self._last >= _PROGRESS_INTERVAL_S:
            self._last = time.monotonic()
            self._send("progress", done, total, note)

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Send a metric."""
        self._send("metric", name, value, step=step, epoch=epoch, fold=fold)

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Send a histogram."""
        self._send("histogram", name, counts, edges, step=step, fold=fold)

    def event(self, name: str, **payload: Any) -> None:
        """Send an event."""
        self._send("event", name, **payload)

    def _send(self, call: str, *args: Any, **kwargs: Any) -> None:
        print(
            json.dumps(json_ready({"call": call, "args": args, "kwargs": kwargs})),
            file=self._channel,
            flush=True,
        )


def main(spec: Path) -> int:
    """Run the job of this folder as the rank given by the environment; returns the exit status."""
    die_with_parent()
    channel = _take_output()
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    is_first = rank == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
    logging.basicConfig(level=logging.INFO, format=f"rank {rank} %(levelname)s %(name)s: %(message)s")
    try:
        _run(spec.parent, LineMonitor(channel) if is_first else StageMonitor(), is_first=is_first)
    except BaseException as error:  # noqa: BLE001  # whatever it is, the parent must hear of it
        _report(spec.parent / f"{ERROR_PREFIX}{rank}.json", error)
        # Not `return`: the interpreter's exit would wait for ranks that wait for this one.
        os._exit(1)
    return 0


def _run(folder: Path, monitor: StageMonitor, *, is_first: bool) -> None:
    from safetensors.numpy import save

    from proteinx_pipelines.stages.train.job import read_job
    from proteinx_pipelines.stages.train.lightning_fit import run_job

    _choose_interface()
    fit = run_job(read_job(folder), monitor)
    if is_first:
        write_bytes(folder / WEIGHTS_FILE, save(dict(fit.weights)))
        write_json(folder / RESULT_FILE, fit.info)


def _take_output() -> IO[str]:
    """Return the channel to the parent, and redirect all other standard output to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _choose_interface() -> None:
    """Make gloo use the interface towards the first rank: the host's own name may not resolve, as in a container."""
    import psutil

    own = address_towards(os.environ.get("MASTER_ADDR", "127.0.0.1"))
    if own is None:
        return  # torch will say what is wrong with the address
    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address.partition("%")[0] == own for each in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
            return


def _report(path: Path, error: BaseException) -> None:
    document = {
        "class": type(error).__name__,
        "message": str(error),
        "problems": list(getattr(error, "problems", [])),
        "trace": "".join(traceback.format_exception(error)),
    }
    write_json(path, document)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
