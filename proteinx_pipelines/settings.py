"""Where a node works and whom it talks to: the environment first, then `proteinx.toml`, then defaults.

Secrets (the password inside `REDIS_URL`) come from the environment only: a `redis_url` with a password in
`proteinx.toml` is refused. Reading settings creates nothing; `prepare_workdir` in `node.workdir` does.
"""

import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.workdir import Workdir

SETTINGS_FILE = "proteinx.toml"
ENVIRONMENT = {
    "workdir": "PROTEINX_WORKDIR",
    "redis_url": "REDIS_URL",
    "queue_name": "QUEUE_NAME",
    "result_queue_name": "RESULT_QUEUE_NAME",
    "queue_side": "PROTEINX_QUEUE_SIDE",
    "broker_url": "PROTEINX_BROKER_URL",
    "data_roots": "PROTEINX_DATA_ROOTS",
    "web_port": "PROTEINX_WEB_PORT",
    "dagster_home": "DAGSTER_HOME",
    "node_name": "PROTEINX_NODE_NAME",
    "take_ahead": "PROTEINX_TAKE_AHEAD",
    "stall_limit_s": "PROTEINX_STALL_LIMIT_S",
}
"""Setting -> environment variable. The names in `proteinx.toml` are the keys."""

_LARGEST = 1_000_000


class SettingsError(InputError):
    """A setting has a value that cannot be used; the message names the setting and where it came from."""

    code = "bad_settings"


@dataclass(frozen=True)
class Settings:
    """One node's settings, resolved."""

    workdir: Path
    """Absolute path of the folder that holds experiments, databases and run-time files."""
    redis_url: str | None
    """The Master's Redis; None means the embedded server."""
    queue_name: str
    result_queue_name: str
    queue_side: str
    """The side that Compute takes from: `right` when the Master pushes on the left."""
    broker_url: str | None
    """Celery's own Redis; None means the same as `redis_url`."""
    data_roots: tuple[Path, ...]
    """Folders, besides WORKDIR, that a message may refer to."""
    web_port: int
    """Port of the web server on 127.0.0.1; 0 is any free one."""
    dagster_home: Path
    node_name: str
    """Name of this node in heartbeats and in Celery's queue names."""
    take_ahead: int = 1_000
    """Most experiments that wait or run on this node; more stay on the Master's list, for it or for other nodes."""
    stall_limit_s: int = 300
    """Seconds without progress after which a part of the node is started again."""

    @property
    def paths(self) -> Workdir:
        """Every path inside WORKDIR; the properties below are short ways to some of them."""
        return Workdir(self.workdir)

    @property
    def experiments_dir(self) -> Path:
        """`<WORKDIR>/experiments`."""
        return self.paths.experiments_dir

    @property
    def database_path(self) -> Path:
        """The catalog, `<WORKDIR>/database.db`."""
        return self.paths.database

    @property
    def state_path(self) -> Path:
        """The life of every experiment, `<WORKDIR>/state.db`."""
        return self.paths.state

    @property
    def run_dir(self) -> Path:
        """Locks, process ids and addresses of the running node, `<WORKDIR>/run`."""
        return self.paths.run_dir

    @property
    def logs_dir(self) -> Path:
        """Logs of the node's own processes, `<WORKDIR>/logs`."""
        return self.paths.logs_dir


def load_settings(environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read the settings that hold in `folder` (default: the current one).

    Raises:
        SettingsError: a setting is unknown or has an unusable value; the message says where it stands.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    written = _read_toml(folder / SETTINGS_FILE)
    found: dict[str, tuple[object, str]] = {name: (value, SETTINGS_FILE) for name, value in written.items()}
    for name, variable in ENVIRONMENT.items():
        if environment.get(variable):
            found[name] = (environment[variable], variable)

    def text(name: str, default: str) -> str:
        value, origin = found.get(name, (default, "default"))
        if not isinstance(value, str):
            raise SettingsError(f"`{name}` in {origin} is {value!r}; a text is expected.")
        return value

    workdir = _absolute(folder, text("workdir", "workdir_compute"))
    redis_url = text("redis_url", "") or None
    if redis_url and found["redis_url"][1] == SETTINGS_FILE and urlsplit(redis_url).password:
        raise SettingsError(
            f"`redis_url` in {SETTINGS_FILE} contains a password. Secrets come from the environment only: "
            "move it to REDIS_URL."
        )
    side = text("queue_side", "right")
    if side not in ("left", "right"):
        origin = found["queue_side"][1]
        raise SettingsError(f"`queue_side` in {origin} is {side!r}; `left` or `right` is expected.")
    return Settings(
        workdir=workdir,
        redis_url=redis_url,
        queue_name=text("queue_name", "experiments"),
        result_queue_name=text("result_queue_name", "experiments:results"),
        queue_side=side,
        broker_url=text("broker_url", "") or None,
        data_roots=_data_roots(folder, found.get("data_roots")),
        web_port=_port(found.get("web_port")),
        dagster_home=_absolute(folder, text("dagster_home", str(Workdir(workdir).dagster_home))),
        node_name=text("node_name", socket.gethostname()),
        take_ahead=_whole_number("take_ahead", found, 1_000),
        stall_limit_s=_whole_number("stall_limit_s", found, 300),
    )


def _read_toml(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}. Mend it or remove it.") from error
    unknown = sorted(set(written) - set(ENVIRONMENT))
    if unknown:
        known = ", ".join(sorted(ENVIRONMENT))
        raise SettingsError(f"{path}: {', '.join(unknown)} is not a setting. The settings are {known}.")
    return written


def _absolute(folder: Path, text: str) -> Path:
    path = Path(text).expanduser()
    return (path if path.is_absolute() else folder / path).resolve()


def _data_roots(folder: Path, found: tuple[object, str] | None) -> tuple[Path, ...]:
    if found is None:
        return ()
    value, origin = found
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise SettingsError(f"`data_roots` in {origin} is {value!r}; a list of folders is expected.")
    return tuple(_absolute(folder, part) for part in parts if part)


def _port(found: tuple[object, str] | None) -> int:
    if found is None:
        return 0
    value, origin = found
    text = str(value)
    if not text.isdigit() or int(text) > 65535:
        raise SettingsError(
            f"`web_port` in {origin} is {value!r}; a number from 0 (any free port) to 65535 is expected."
        )
    return int(text)


def _whole_number(name: str, found: Mapping[str, tuple[object, str]], default: int) -> int:
    if name not in found:
        return default
    value, origin = found[name]
    text = str(value)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _LARGEST:
        raise SettingsError(
            f"`{name}` in {origin} is {value!r}; a whole number from 1 to {_LARGEST} is expected."
        )
    return int(text)
