"""Distributed training from any process, in child processes with their own command line.

Lightning's `ddp` starts its other processes by running `sys.argv` again, which inside a Celery worker would start
another worker. The training therefore runs in `python -m ...ddp_process SPEC`, which Lightning can safely repeat. The
job is passed in files; messages come back as lines of JSON, and the weights in a file.
"""

import contextlib
import json
import logging
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import psutil

import proteinx_pipelines
from proteinx_pipelines import errors
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.trainer import COPYING_STRATEGIES
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.train.job import NetworkFit, NetworkJob, write_job
from proteinx_pipelines.stages.train.meeting import arranged_place, open_meeting

MODULE = "proteinx_pipelines.stages.train.ddp_process"
RESULT_FILE = "result.json"
WEIGHTS_FILE = "weights.safetensors"
ERROR_PREFIX = "error-"
START_FILE = "start.ckpt"
"""Name beside the job, for other machines: the checkpoint to continue from."""

LOG_BYTES = 5_000_000
"""Size limit of the processes' own log; `logs/train.log` continues beyond it."""

log = logging.getLogger("proteinx_pipelines.stages.train.processes")
_POLL_S = 0.5
_CONNECTION = re.compile("gloo|nccl|connection|socket|broken pipe|timed out", re.IGNORECASE)
"""In what torch says when a rank of another machine is gone."""
_RELAY_S = 2.0
_SINGLE = (None, "auto", "single_device")
_OTHERS_ENVIRONMENT = (
    "MASTER_ADDR", "MASTER_PORT", "STANDALONE_PORT", "RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK",
    "WORLD_SIZE", "PL_GLOBAL_SEED",
)  # fmt: skip
"""Variables of another launcher around the node, which would make a child consider itself one of its ranks."""


def needs_own_processes(arguments: Mapping[str, Any]) -> bool:
    """True if `trainer.*` arguments lead, or may lead, to more than one process.

    Raises:
        FlagError: they ask for processes that share this one's memory.
    """
    strategy, devices = arguments.get("strategy"), arguments.get("devices", 1)
    if isinstance(strategy, str) and any(kind in strategy for kind in COPYING_STRATEGIES):
        problem = (
            f"`trainer.strategy` {strategy!r} copies the node's own process; 'ddp' starts fresh ones: use it"
        )
        raise errors.FlagError([problem])
    n_devices = len(devices) if isinstance(devices, list | tuple) else devices
    return strategy not in _SINGLE or n_devices not in (1, "1") or arguments.get("num_nodes", 1) > 1


def run_in_own_processes(job: NetworkJob, monitor: StageMonitor, directory: ExperimentDir) -> NetworkFit:
    """Run a job in child processes, relay their reports, and always end them.

    Raises:
        ProteinxError: the error of a child, rebuilt as if raised here.
        Stopped: the monitor ended the training.
        WorkerLost: a child ended without a report; its last lines are in the message.
    """
    n_nodes = job.flags.trainer.n_machines()
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=directory.root, prefix=".train-"))
        folder, path = Path(name), directory.processes_log
        spec = write_job(job, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        environment: Mapping[str, str] = {}
        check: Callable[[], None] = _nobody_else
        if n_nodes > 1:
            place = arranged_place(n_nodes)
            if job.checkpoint is not None:
                shutil.copyfile(job.checkpoint, folder / START_FILE)
            meeting = stack.enter_context(open_meeting(place, n_nodes))
            meeting.gather(
                folder,
                directory.experiment_id,
                lambda: monitor.progress(0, 1, "waiting for the other machines"),
            )
            environment, check = place.environment(0), meeting.refuse_lost
        with running(spec, environment) as process, _relayed(process, path):
            _listen(process, monitor, check)
            status = process.wait()
        try:
            return _result(folder, status, path)
        except RuntimeError as error:
            if n_nodes > 1 and _CONNECTION.search(str(error)):
                raise errors.WorkerLost(
                    f"A machine of the distributed training is gone; run it again. {str(error)[-1000:]}"
                ) from error
            raise


def _nobody_else() -> None:
    """No other machine takes part."""


@contextlib.contextmanager
def running(
    spec: Path, further: Mapping[str, str], *, output: IO[bytes] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Context with the first process of this machine; on exit, it and all its descendants are ended.

    Args:
        spec: of `write_job`.
        further: variables for it, such as where other machines are met.
        output: takes what it prints; pipes to this process when None.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OTHERS_ENVIRONMENT}
    source = str(Path(proteinx_pipelines.__file__).parents[1])
    paths = [source, *filter(None, [environment.get("PYTHONPATH")])]
    process = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", MODULE, str(spec)],
        stdin=subprocess.PIPE,  # held open as long as this process lives: `die_with_parent` reads it
        stdout=subprocess.PIPE if output is None else output,
        stderr=subprocess.PIPE if output is None else output,
        env={**environment, **further, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=spec.parent,
    )
    try:
        yield process
    finally:
        _kill_tree(process)


def _kill_tree(process: subprocess.Popen[bytes], *, close: bool = True) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()
    for stream in () if not close else (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


@contextlib.contextmanager
def _relayed(process: subprocess.Popen[bytes], path: Path) -> Iterator[None]:
    """Relay the log, output and warnings of all ranks to the logger and to a separate file."""
    assert process.stderr is not None
    thread = threading.Thread(target=_relay, args=(process.stderr, path), daemon=True)
    thread.start()
    try:
        yield
    finally:
        _kill_tree(process, close=False)
        thread.join(_RELAY_S)


def _relay(lines: IO[bytes], path: Path) -> None:
    with contextlib.suppress(ValueError), path.open("ab") as stream:
        for line in lines:
            if stream.tell() < LOG_BYTES:
                stream.write(line)
                stream.flush()
            if text := line.decode("utf-8", "replace").rstrip():
                log.info("%s", text)


def _listen(process: subprocess.Popen[bytes], monitor: StageMonitor, check: Callable[[], None]) -> None:
    """Relay messages until the child closes its output; check twice a second for a request to stop."""
    lines: queue.Queue[bytes | None] = queue.Queue()
    assert process.stdout is not None
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    progress: list[Any] = [0, 1, "starting processes"]
    checked_at = time.monotonic()
    while True:
        if time.monotonic() - checked_at >= _POLL_S:
            check()
            checked_at = time.monotonic()
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            monitor.progress(*progress)
            continue
        if line is None:
            return
        message = json.loads(line)
        if message["call"] == "progress":
            progress = message["args"]
        getattr(monitor, message["call"])(*message["args"], **message["kwargs"])


def _read_lines(stream: IO[bytes], lines: "queue.Queue[bytes | None]") -> None:
    with contextlib.suppress(ValueError):  # closed while reading: the training was stopped
        for line in stream:
            lines.put(line)
    lines.put(None)


def _result(folder: Path, status: int, path: Path) -> NetworkFit:
    from safetensors.numpy import load_file

    if status == 0 and (folder / RESULT_FILE).is_file():
        return NetworkFit(weights=load_file(folder / WEIGHTS_FILE), info=read_json(folder / RESULT_FILE))
    reports = sorted(folder.glob(f"{ERROR_PREFIX}*.json"))
    if reports:
        raise _rebuilt(read_json(reports[0]))
    tail = path.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
    raise errors.WorkerLost(
        f"A process of the distributed training ended with status {status} before the training did; run it "
        f"again. Its last lines in {path}:\n{tail}"
    )


def _rebuilt(report: Mapping[str, Any]) -> Exception:
    """Rebuild the error that a child reported, with its class if it is one of this package."""
    kind = getattr(errors, report["class"], None)
    if kind is errors.FlagError:
        return errors.FlagError(report["problems"])
    if isinstance(kind, type) and issubclass(kind, errors.ProteinxError):
        return kind(report["message"])
    return RuntimeError(f"{report['class']} in a process of the distributed training:\n{report['trace']}")
