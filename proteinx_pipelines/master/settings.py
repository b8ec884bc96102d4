"""Settings of the Master, read from the environment beside those of a node.

Secrets (tokens, passwords in addresses) come from the environment only.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.settings import Settings, SettingsError

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
    lease_s: float = 120.0
    """Seconds without a heartbeat after which a node counts as lost and its jobs go elsewhere."""
    slots: int = 2
    """Jobs that a node has at once: one runs, one waits."""
    max_upload_bytes: int = 2_000_000_000
    """Largest uploaded data set, in bytes."""
    max_form_bytes: int = 10_000_000
    """Largest data set uploaded without a token, in bytes."""
    requests_per_minute: int = 6_000
    """Requests that one token may make in a minute."""
    webhook_hosts: tuple[str, ...] = ()
    """Host names inside the operator's network that webhooks may reach."""

    @property
    def is_open(self) -> bool:
        """True if requests need no token: only this machine reaches the Master, and no token was set."""
        return self.host in LOOPBACK and self.token is None

    @property
    def database_path(self) -> Path:
        """The SQLite database."""
        return self.folder / "master.db"

    @property
    def address_file(self) -> Path:
        """`master.json`: address and process of the running Master."""
        return self.folder / "master.json"

    @property
    def uploads_dir(self) -> Path:
        """Uploads on their way in."""
        return self.folder / "uploads"

    @property
    def datasets_dir(self) -> Path:
        """Data sets, each below the SHA-256 of its content."""
        return self.folder / "datasets"

    @property
    def artifacts_dir(self) -> Path:
        """Files of jobs, uploaded by nodes on other machines, each below its SHA-256."""
        return self.folder / "artifacts"

    def stored(self, sha256: str) -> Path:
        """Place of an uploaded file."""
        return self.artifacts_dir / sha256[:2] / sha256


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
        lease_s=_whole(given, "PROTEINX_MASTER_LEASE_S", 120, 1, 86_400),
        slots=_whole(given, "PROTEINX_MASTER_SLOTS", 2, 1, 1_000),
        max_upload_bytes=_whole(given, "PROTEINX_MASTER_MAX_UPLOAD_MB", 2_000, 1, 1_000_000) * 1_000_000,
        requests_per_minute=_whole(given, "PROTEINX_MASTER_REQUESTS_PER_MINUTE", 6_000, 1, 10_000_000),
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


def _whole(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name)
    if not text:
        return default
    if not text.strip().isdecimal() or not least <= int(text) <= most:
        raise SettingsError(f"{name} is {text[:40]!r}; a whole number from {least} to {most} is expected.")
    return int(text)
