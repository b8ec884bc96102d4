"""Checks each part of a node: that it runs, and that it makes progress."""

from collections.abc import Iterator

from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.node.processes.births import is_frozen
from proteinx_pipelines.node.processes.ready_parts import (
    BEATING,
    MASTER,
    PARTS,
    is_ready,
    pid_of,
    process_of,
    silence_s,
)
from proteinx_pipelines.settings import Settings

SILENT_S = 90.0
"""Seconds without progress after which a part is reported: longer than one wait for Redis and `state.db`."""


def check_parts(settings: Settings) -> Iterator[Finding]:
    """Check every part of the node in this WORKDIR; wrong when one is missing, stopped, or makes no progress."""
    if not any(is_ready(settings, part) for part in PARTS):
        yield Finding("node", WARNING, "No node runs here; messages wait. Start it with `proteinx up`.")
        return
    has_master = pid_of(settings, MASTER) is not None
    for part in (*PARTS, *BEATING, *([MASTER] if has_master else [])):
        pid = process_of(settings, part)
        if pid is None and part == "node":
            text = "The parts were started one by one: nothing starts them again when they end."
            yield Finding("node", WARNING, text)
        else:
            yield _look_at(settings, part, pid)


def _look_at(settings: Settings, part: str, pid: int | None) -> Finding:
    if pid is None:
        text = f"{part} is not there. See {settings.logs_dir}; `proteinx up` starts it again."
        return Finding("node", WRONG, text)
    who = "supervisor (`proteinx up`)" if part == "node" else part
    if is_frozen(pid):
        return Finding("node", WRONG, f"{who} (process {pid}) is stopped. Continue it: kill -CONT {pid}.")
    silent = silence_s(settings, part) if part in ("sensor", *BEATING, MASTER) else None
    if silent is not None and silent > SILENT_S:
        text = f"{who} (process {pid}) lives and has made no progress for {silent:.0f} s. "
        return Finding("node", WRONG, text + _help_with(settings, part))
    return Finding("node", OK, f"{who} runs as process {pid}")


def _help_with(settings: Settings, part: str) -> str:
    if part == "node":
        return "End it and start `proteinx up` again."
    return (
        f"`proteinx up` ends it after {settings.stall_limit_s} s and starts another; see {settings.logs_dir}."
    )
