"""Checks everything a node needs: each finding says what was found and, when it is wrong, what to do.

Nothing is started or repaired here, and nothing outside WORKDIR is written but a probe in the shared store, which is
removed. `proteinx doctor` prints it.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import redis
from redis.exceptions import NoPermissionError

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.health.dagster_home import check_dagster_home
from proteinx_pipelines.node.health.master import check_master
from proteinx_pipelines.node.health.parts import check_parts
from proteinx_pipelines.node.health.queues import check_queue
from proteinx_pipelines.node.health.shared_store import check_shared_store
from proteinx_pipelines.node.health.versions import check_versions, numbers_of
from proteinx_pipelines.node.health.web import check_web
from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.node.processes.ready_parts import PARTS, is_ready
from proteinx_pipelines.queue.addresses import redis_url
from proteinx_pipelines.queue.queue import connect, unavailable_as_our_error
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings

SERVER_FLOOR = (6, 2)
"""Oldest usable Redis version: earlier ones have no LMOVE."""
LEAST_FREE_BYTES = 2 * 1024**3
FULL_BYTES = 16 * 1024**2
"""Below this much free space the node cannot recreate its disk reserve (`node.lifecycle.disk_reserve`)."""
NEARLY_FULL = 0.9
"""Fraction of a server's `maxmemory` in use that is worth a warning."""
MOST_CLOCK_SKEW_S = 5.0


def check_node(settings: Settings) -> Iterator[Finding]:
    """Run every check; a check that fails is itself a finding."""
    looks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        check_versions, _settings, _workdir, _disk, _state, _server, check_queue, check_parts, check_master,
        check_web,
        check_shared_store, check_dagster_home,
    )  # fmt: skip
    for look in looks:
        try:
            yield from look(settings)
        except Exception as error:  # noqa: BLE001  # the next look is still worth having
            yield Finding(look.__name__.strip("_"), WRONG, redact(f"{type(error).__name__}: {error}"))


def _settings(settings: Settings) -> Iterator[Finding]:
    """Name the file that the settings come from: it may lie in a folder above."""
    used = f"{settings.file}, and the environment" if settings.file else "the environment and defaults"
    yield Finding("settings", OK, f"from {used}")


def _workdir(settings: Settings) -> Iterator[Finding]:
    folder = settings.workdir
    if not folder.is_dir():
        yield Finding(
            "workdir",
            WRONG,
            f"{folder} is not there. Create it with `proteinx init`, or set PROTEINX_WORKDIR.",
        )
        return
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as name:
            (Path(name) / "a").write_bytes(b"x")
            (Path(name) / "a").replace(Path(name) / "b")
    except OSError as error:
        yield Finding(
            "workdir",
            WRONG,
            f"{folder} cannot be written: {error}. Give this user the right to, or make room.",
        )
        return
    links = [path for path in settings.experiments_dir.glob("*") if path.is_symlink()]
    for path in links:
        yield Finding(
            "workdir", WRONG, f"{path} is a symbolic link; experiments live in real folders. Remove it."
        )
    yield Finding("workdir", OK, f"{folder} can be written")
    if not settings.database_path.is_file():
        yield Finding(
            "workdir",
            WARNING,
            f"{settings.database_path} is not there: import data with `proteinx db import FILE`.",
        )


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = next(path for path in (settings.workdir, *settings.workdir.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free"
    if free < FULL_BYTES:
        yield Finding(
            "disk",
            WRONG,
            f"{folder} is on a full disk ({text}): experiments fail with `disk_full`, messages wait. Make room, then "
            "`proteinx replay` what failed.",
        )
    elif free < LEAST_FREE_BYTES:
        yield Finding(
            "disk",
            WARNING,
            f"{text}: experiments fail with `disk_full` soon. Remove experiments, or add space.",
        )
    else:
        yield Finding("disk", OK, text)


def _state(settings: Settings) -> Iterator[Finding]:
    for path in (settings.state_path, settings.database_path):
        if not path.is_file():
            continue
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            said = str(error)
        finally:
            connection.close()
        if said == "ok":
            yield Finding("databases", OK, f"{path.name} is sound")
        else:
            yield Finding(
                "databases", WRONG, f"{path} is damaged ({said}). Stop the node and put back a copy of it."
            )


def _server(settings: Settings) -> Iterator[Finding]:
    try:
        url = redis_url(settings)
        with unavailable_as_our_error("being asked how it is"), connect(url) as client:
            yield from _server_findings(client, redact(url))
    except QueueUnavailable as error:
        own = settings.redis_url is None and not any(is_ready(settings, part) for part in PARTS)
        level, text = (WARNING, "The embedded server starts with the node.") if own else (WRONG, str(error))
        yield Finding("redis", level, redact(text))


def _server_findings(client: "redis.Redis", shown: str) -> Iterator[Finding]:
    client.ping()
    yield Finding("redis", OK, f"answers at {shown}")
    try:
        info = dict(client.info())
    except NoPermissionError:
        info = None
        yield Finding("redis", OK, "this account may not ask for more (INFO), which is as it should be")
    if info is not None:
        yield from _server_settings(info)
    seconds, micros = client.time()
    skew = abs(time.time() - (seconds + micros / 1e6))
    if skew > MOST_CLOCK_SKEW_S:
        yield Finding(
            "clock", WARNING, f"This clock and the server's differ by {skew:.0f} s. Set both by NTP."
        )
    else:
        yield Finding("clock", OK, f"within {skew:.1f} s of the server's")


def _server_settings(info: Mapping[str, Any]) -> Iterator[Finding]:
    version = str(info.get("valkey_version", info["redis_version"]))
    name = "Valkey" if "valkey_version" in info else "Redis"
    if numbers_of(str(info["redis_version"]))[:2] < SERVER_FLOOR:
        yield Finding("redis", WRONG, f"{name} {version} has no LMOVE: 6.2 or newer is needed.")
    else:
        yield Finding("redis", OK, f"{name} {version}")
    if not info.get("aof_enabled"):
        text = "appendonly is off: a restart of the server loses messages. Set `appendonly yes`."
        yield Finding("redis", WARNING, text)
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        text = f"maxmemory-policy is {policy}: it throws messages away. Set `noeviction`."
        yield Finding("redis", WRONG, text)
    yield from _server_room(info)


def _server_room(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Check that the server can take a write: its memory, and the disk below its append-only file."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    text = f"{used / 1024**2:.0f} of {most / 1024**2:.0f} MiB (maxmemory) are used"
    if most and used >= most:
        yield Finding(
            "redis",
            WRONG,
            f"The server is full: {text}. No message is taken and no result delivered; both wait and nothing is "
            "lost. Raise `maxmemory`, or take results off their list.",
        )
    elif most and used >= NEARLY_FULL * most:
        yield Finding("redis", WARNING, f"The server is nearly full: {text}. Raise `maxmemory`.")
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        text = "The server cannot write its append-only file and takes no writes. Make room on its disk."
        yield Finding("redis", WRONG, text)
