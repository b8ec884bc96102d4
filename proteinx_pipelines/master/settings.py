"""Settings of the Master, read from the environment beside those of a node.

Secrets (tokens, passwords in addresses) come from the environment only.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.redis_address import EXPECTED, address_problem
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.workdir import objects_dir

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class MasterSettings:
    """Resolved settings of one Master."""

    folder: Path
    """Files of the Master: its database, uploads and `master.json`."""
    node: Settings
    """Settings of the node on this machine: the Redis address, the names of the lists, WORKDIR."""
    host: str = DEFAULT_HOST
    """Address to listen on; any other than this machine's own needs a token."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 is any free one."""
    is_port_asked: bool = False
    """True if the port was set: when it is taken, that is an error instead of a free one being chosen."""
    database_url: str | None = None
    """PostgreSQL's URL; None means SQLite in `folder`."""
    token: str | None = None
    """Token with every scope, from the environment; None on a Master that only this machine reaches."""
    nodes_redis_url: str | None = None
    """Address of Redis as nodes elsewhere reach it, where that is another one than this machine's."""
    lease_s: float = 120.0
    """Seconds without a heartbeat after which a node counts as lost and its jobs go elsewhere."""
    slots: int = 2
    """Jobs that a node has at once: one runs, one waits."""
    max_upload_bytes: int = 2_000_000_000
    """Largest uploaded data set, in bytes."""
    max_form_bytes: int = 10_000_000
    """Largest data set uploaded as a form without a token, in bytes."""
    requests_per_minute: int = 6_000
    """Requests that one token may make in a minute."""
    webhook_hosts: tuple[str, ...] = ()
    """Host names inside the operator's network that webhooks may reach."""
    webhook_commands: Mapping[str, str] = field(default_factory=dict)
    """Name -> command line that webhooks of the kind `command` may run. Only the operator can name one."""

    @property
    def is_open(self) -> bool:
        """True if requests need no token: only this machine reaches the Master, and no token was set."""
        return self.host in LOOPBACK and self.token is None

    @property
    def database_path(self) -> Path:
        """The SQLite database."""
        return self.folder / "master.db"

    @property
    def lock_file(self) -> Path:
        """`master.lock`: held by the Master that works in this folder."""
        return self.folder / "master.lock"

    @property
    def address_file(self) -> Path:
        """`master.json`: address and process of the running Master."""
        return address_file(self.folder)

    @property
    def uploads_dir(self) -> Path:
        """Uploads on their way in."""
        return self.folder / "uploads"

    @property
    def datasets_dir(self) -> Path:
        """Data sets, each below its id: the file as uploaded, and the catalog made of it."""
        return self.folder / "datasets"

    @property
    def objects_dir(self) -> Path:
        """Files by digest: those of jobs, uploaded by nodes on other machines, and those that nodes fetch."""
        return objects_dir(self.folder)

    def stored(self, sha256: str) -> Path:
        """Place of a file by its digest."""
        return self.objects_dir / sha256[:2] / sha256


def address_file(master_dir: Path) -> Path:
    """`master.json` in a Master's folder; there while the Master runs."""
    return master_dir / "master.json"


def load_master_settings(node: Settings, environment: Mapping[str, str] | None = None) -> MasterSettings:
    """Read the Master's settings.

    Args:
        node: settings of the node on this machine.
        environment: defaults to that of the process.

    Raises:
        SettingsError: a setting has an unusable value, or another address than this machine's own has no token.
    """
    given = os.environ if environment is None else environment
    folder = given.get("PROTEINX_MASTER_DIR")
    settings = MasterSettings(
        folder=Path(folder).expanduser().resolve() if folder else node.paths.master_dir,
        node=node,
        host=given.get("PROTEINX_MASTER_HOST") or DEFAULT_HOST,
        port=_whole(given, "PROTEINX_MASTER_PORT", DEFAULT_PORT, 0, 65_535),
        is_port_asked=bool(given.get("PROTEINX_MASTER_PORT")),
        database_url=given.get("PROTEINX_MASTER_DATABASE_URL") or None,
        token=given.get("PROTEINX_TOKEN") or None,
        nodes_redis_url=_redis_address(given, "PROTEINX_MASTER_NODES_REDIS_URL"),
        lease_s=_whole(given, "PROTEINX_MASTER_LEASE_S", 120, 1, 86_400),
        slots=_whole(given, "PROTEINX_MASTER_SLOTS", 2, 1, 1_000),
        max_upload_bytes=_whole(given, "PROTEINX_MASTER_MAX_UPLOAD_MB", 2_000, 1, 1_000_000) * 1_000_000,
        max_form_bytes=_whole(given, "PROTEINX_MASTER_MAX_FORM_MB", 10, 1, 1_000_000) * 1_000_000,
        requests_per_minute=_whole(given, "PROTEINX_MASTER_REQUESTS_PER_MINUTE", 6_000, 1, 10_000_000),
        webhook_commands=_commands(given.get("PROTEINX_WEBHOOK_COMMANDS", "")),
        webhook_hosts=tuple(
            filter(None, given.get("PROTEINX_WEBHOOK_HOSTS", "").replace(" ", "").split(","))
        ),
    )
    if settings.host not in LOOPBACK and settings.token is None:
        raise SettingsError(
            f"PROTEINX_MASTER_HOST is {settings.host!r}, which other machines reach, and PROTEINX_TOKEN is not set. "
            "Set PROTEINX_TOKEN to a long random text (`proteinx master token` prints one), or leave out the host."
        )
    return settings


def _redis_address(given: Mapping[str, str], name: str) -> str | None:
    value = given.get(name) or None
    problem = None if value is None else address_problem(value)
    if problem is not None:
        raise SettingsError(f"`{name}` cannot be read: {problem}. {EXPECTED}.")
    return value


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name)
    if not text:
        return default
    if not text.strip().isdecimal() or not least <= int(text) <= most:
        raise SettingsError(f"{name} is {text[:40]!r}; a whole number from {least} to {most} is expected.")
    return int(text)


def _commands(text: str) -> dict[str, str]:
    """`mail=/usr/bin/mail -s proteinx me; chat=/opt/chat` -> name and command line of each."""
    found = {}
    for part in filter(None, (each.strip() for each in text.replace("\n", ";").split(";"))):
        name, sign, command = part.partition("=")
        if not sign or not name.strip().isidentifier() or not command.strip():
            raise SettingsError(
                "PROTEINX_WEBHOOK_COMMANDS cannot be read; `name=command` is expected, several separated by `;`."
            )
        found[name.strip()] = command.strip()
    return found
