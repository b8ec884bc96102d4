"""Settings of a node: WORKDIR, Redis, limits. Read from the environment, then `proteinx.toml`, then defaults.

Secrets (the password inside `REDIS_URL`) come from the environment only: a `redis_url` with a password in
`proteinx.toml` is refused. Error messages do not repeat an unreadable value that may contain a secret. Reading
settings creates nothing; `prepare_workdir` in `node.processes.workdir` does.
"""

import math
import os
import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.http_address import has_login, http_problem
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.redis_address import EXPECTED, address_problem, has_password
from proteinx_pipelines.store_address import store_problem
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
    "metrics_address": "PROTEINX_METRICS_ADDRESS",
    "dagster_home": "DAGSTER_HOME",
    "node_name": "PROTEINX_NODE_NAME",
    "take_ahead": "PROTEINX_TAKE_AHEAD",
    "stall_limit_s": "PROTEINX_STALL_LIMIT_S",
    "max_timeout_s": "PROTEINX_MAX_TIMEOUT_S",
    "max_memory_gb": "PROTEINX_MAX_MEMORY_GB",
    "max_data_gb": "PROTEINX_MAX_DATA_GB",
    "labels": "PROTEINX_LABELS",
    "master": "PROTEINX_MASTER",
    "store": "PROTEINX_STORE",
    "dask": "PROTEINX_DASK",
    "track": "PROTEINX_TRACK",
    "store_max_gb": "PROTEINX_STORE_MAX_GB",
    "cache_max_gb": "PROTEINX_CACHE_MAX_GB",
    "log_level": "PROTEINX_LOG_LEVEL",
    "log_format": "PROTEINX_LOG_FORMAT",
    "log_max_mb": "PROTEINX_LOG_MAX_MB",
    "log_files": "PROTEINX_LOG_FILES",
}
"""Setting -> environment variable. The names in `proteinx.toml` are the keys."""

TRACKERS = ("mlflow", "wandb", "tensorboard")
"""Trackers that ended experiments can be told to."""
_LARGEST = 1_000_000
_LONGEST_READ, _LONGEST_SHOWN = 4_096, 80
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class SettingsError(InputError):
    """A setting has an unusable value; the message names the setting and its origin."""

    code = "bad_settings"


@dataclass(frozen=True)
class Settings:
    """Resolved settings of one node."""

    workdir: Path
    """Absolute path of the folder that holds experiments, databases and run-time files."""
    redis_url: str | None
    """The Master's Redis; None means the embedded server."""
    queue_name: str
    result_queue_name: str
    queue_side: str
    """End of the list that Compute takes from: `right` when the Master pushes on the left."""
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
    """Largest number of experiments waiting or running on this node; more stay on the Master's list for any node."""
    stall_limit_s: int = 300
    """Seconds without progress after which a process of the node is restarted."""
    metrics_address: tuple[str, int] | None = None
    """Host and port at which the agent serves `/metrics` to other machines; None: the web server alone does."""
    max_timeout_s: float | None = None
    """Time limit, in seconds, of experiments whose `run.timeout_s` is unset or larger; None has no limit."""
    max_memory_gb: float | None = None
    """Largest expected memory of a stage, in units of 10^9 bytes; None uses the machine's memory."""
    max_data_gb: float = 20.0
    """Largest data file, and largest unpacked size of a compressed one, in units of 10^9 bytes."""
    labels: tuple[str, ...] = ()
    """Labels of this node, such as `a100`, by which a Master may choose nodes."""
    master: str | None = None
    """Address of the Master, such as `https://master:8000`: its data sets may be referred to."""
    store: str | None = None
    """URL of the store that machines share: `s3://bucket/prefix`, `file:///folder`, ...; None: WORKDIR alone."""
    dask: str | None = None
    """Address of a Dask scheduler, `tcp://host:8786`, or path of its file, for shards; None: processes here."""
    track: tuple[str, ...] = ()
    """Trackers that every ended experiment is told to, of `TRACKERS`."""
    store_max_gb: float | None = None
    """Size of the shared stages and vectors, in units of 10^9 bytes, above which the least recently used go."""
    cache_max_gb: float = 50.0
    """Size of the files fetched by reference, in units of 10^9 bytes, above which the least recently used go."""
    log_level: str = "WARNING"
    """Level from which the node's own processes log: DEBUG, INFO, WARNING or ERROR."""
    log_format: str = "text"
    """Log format: `text`, or `json` for one JSON object per line."""
    log_max_mb: float = 5.0
    """Log file size, in units of 10^6 bytes, above which the file is rotated."""
    log_files: int = 5
    """Number of log files kept per process, including the current one."""
    file: Path | None = None
    """Path of the `proteinx.toml` that was read; None where there was none."""

    def time_limit(self, timeout_s: float | None) -> float | None:
        """The time limit of an experiment, in seconds: its own, or the node's where that is shorter."""
        return min((limit for limit in (timeout_s, self.max_timeout_s) if limit is not None), default=None)

    @property
    def most_data_bytes(self) -> int:
        """`max_data_gb` in bytes."""
        return int(self.max_data_gb * 1e9)

    @property
    def paths(self) -> Workdir:
        """All paths inside WORKDIR; the properties below are shortcuts to some of them."""
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
        """History of all experiments, `<WORKDIR>/state.db`."""
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
    """Read the settings that apply in `folder` (default: the current one).

    `proteinx.toml` is read from the folder or the nearest folder above it. Relative paths in the file start at the
    file, those in the environment at `folder`.

    Raises:
        SettingsError: a setting is unknown or has an unusable value; the message says where it stands.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    file = find_settings_file(folder)
    written = {} if file is None else _read_toml(file)
    home = folder if file is None else file.parent
    found: dict[str, tuple[object, str]] = {name: (value, SETTINGS_FILE) for name, value in written.items()}
    for name, variable in ENVIRONMENT.items():
        if environment.get(variable):
            found[name] = (environment[variable], variable)

    def text(name: str, default: str) -> str:
        value, origin = found.get(name, (default, "default"))
        if not isinstance(value, str):
            raise SettingsError(f"`{name}` in {origin} is a {type(value).__name__}; a text is expected.")
        return value

    def address(name: str) -> str | None:
        value = text(name, "")
        return _address(name, value, found[name][1]) if value else None

    def start(name: str) -> Path:
        return folder if found.get(name, ("", ""))[1] in ENVIRONMENT.values() else home

    workdir = _absolute(start("workdir"), text("workdir", "workdir_compute"))
    side = text("queue_side", "right")
    if side not in ("left", "right"):
        origin = found["queue_side"][1]
        shown = _shown(side)
        raise SettingsError(f"`queue_side` in {origin} is {shown}; `left` or `right` is expected.")
    return Settings(
        workdir=workdir,
        redis_url=address("redis_url"),
        queue_name=text("queue_name", "experiments"),
        result_queue_name=text("result_queue_name", "experiments:results"),
        queue_side=side,
        broker_url=address("broker_url"),
        data_roots=_data_roots(start("data_roots"), found.get("data_roots")),
        web_port=_port(found.get("web_port")),
        metrics_address=_host_and_port(found.get("metrics_address")),
        dagster_home=_absolute(
            start("dagster_home"), text("dagster_home", str(Workdir(workdir).dagster_home))
        ),
        node_name=text("node_name", socket.gethostname()),
        take_ahead=_whole_number("take_ahead", found, 1_000),
        stall_limit_s=_whole_number("stall_limit_s", found, 300),
        max_timeout_s=_positive("max_timeout_s", found),
        max_memory_gb=_positive("max_memory_gb", found),
        max_data_gb=_positive("max_data_gb", found) or Settings.max_data_gb,
        labels=_labels(found.get("labels")),
        master=_master(text("master", ""), found.get("master", ("", ""))[1]),
        store=_store(text("store", ""), found.get("store", ("", ""))[1]),
        dask=_dask(text("dask", ""), found.get("dask", ("", ""))[1], start("dask")),
        track=_track(found.get("track")),
        store_max_gb=_positive("store_max_gb", found),
        cache_max_gb=_positive("cache_max_gb", found) or Settings.cache_max_gb,
        log_level=_one_of("log_level", found, ("DEBUG", "INFO", "WARNING", "ERROR"), Settings.log_level),
        log_format=_one_of("log_format", found, ("text", "json"), Settings.log_format),
        log_max_mb=_positive("log_max_mb", found) or Settings.log_max_mb,
        log_files=_whole_number("log_files", found, Settings.log_files),
        file=file,
    )


def find_settings_file(folder: Path) -> Path | None:
    """Path of the `proteinx.toml` of a folder or the nearest folder above it; None where there is none."""
    for place in (folder.absolute(), *folder.absolute().parents):
        path = place / SETTINGS_FILE
        try:
            if path.is_file():
                return path
        except OSError:  # a folder above that may not be read
            return None
    return None


def _address(name: str, value: str, origin: str) -> str:
    """Check that a Redis address can be parsed; errors contain no part of it."""
    where = f"`{name}` in {SETTINGS_FILE}" if origin == SETTINGS_FILE else f"`{origin}`"
    if origin == SETTINGS_FILE and has_password(value):
        raise SettingsError(
            f"{where} contains a password. Secrets come from the environment only, so move it to {ENVIRONMENT[name]}."
        )
    problem = address_problem(value)
    if problem is not None:
        raise SettingsError(f"{where} cannot be read: {problem}. {EXPECTED}.")
    return value


def _master(value: str, origin: str) -> str | None:
    """Check the address of the Master; errors contain no part of it that may be a secret."""
    if not value:
        return None
    if http_problem(value) is not None or has_login(value) or "?" in value or "#" in value:
        raise SettingsError(
            f"`master` in {origin} cannot be used: http://host:port or https://host is expected, without user, "
            "password or parameters. The token comes from PROTEINX_TOKEN."
        )
    return value.rstrip("/")


def _dask(value: str, origin: str, folder: Path) -> str | None:
    """Check the address of a Dask scheduler, or the path of its file."""
    if not value:
        return None
    if value.startswith(("tcp://", "tls://")):
        return value
    if "://" in value:
        raise SettingsError(
            f"`dask` in {origin} cannot be used: tcp://host:8786, or a scheduler's file, is expected."
        )
    return str(_absolute(folder, value))


def _track(written: tuple[object, str] | None) -> tuple[str, ...]:
    """Check names of trackers: a list, or texts separated by commas."""
    if written is None:
        return ()
    value, origin = written
    names = value.split(",") if isinstance(value, str) else value
    chosen = [name.strip() for name in names if isinstance(name, str)] if isinstance(names, list) else []
    chosen = [name for name in chosen if name]
    if (
        not isinstance(names, list)
        or len(chosen) < len([name for name in names if name != ""])
        or set(chosen) - set(TRACKERS)
    ):
        shown = _shown(value)
        raise SettingsError(f"`track` in {origin} is {shown}; some of {', '.join(TRACKERS)} are expected.")
    return tuple(dict.fromkeys(chosen))


def _store(value: str, origin: str) -> str | None:
    """Check the address of the shared store; errors contain no part of it that may be a secret."""
    if not value:
        return None
    problem = store_problem(value)
    if problem is not None:
        raise SettingsError(f"`store` in {origin} cannot be used: {problem}.")
    return value.rstrip("/") if not value.endswith("://") else value


def _shown(value: object) -> str:
    """The start of a value, without secrets: hidden before it is cut, since half an address hides nothing."""
    return redact(repr(value)[:_LONGEST_READ])[:_LONGEST_SHOWN]


def _one_of(
    name: str, found: Mapping[str, tuple[object, str]], choices: tuple[str, ...], default: str
) -> str:
    """Check a word against the allowed ones, ignoring case."""
    value, origin = found.get(name, (default, "default"))
    for choice in choices:
        if isinstance(value, str) and value.strip().lower() == choice.lower():
            return choice
    shown = _shown(value)
    raise SettingsError(f"`{name}` in {origin} is {shown}; one of {', '.join(choices)} is expected.")


def _positive(name: str, found: Mapping[str, tuple[object, str]]) -> float | None:
    """Check that a number is greater than 0; None where it is not set."""
    if name not in found:
        return None
    value, origin = found[name]
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not (number > 0 and math.isfinite(number)):
        shown = _shown(value)
        raise SettingsError(f"`{name}` in {origin} is {shown}; a number greater than 0 is expected.")
    return number


def _read_toml(path: Path) -> dict[str, object]:
    if not path.is_file():
        return {}
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}. Fix it or remove it.") from error
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
        raise SettingsError(
            f"`data_roots` in {origin} is a {type(value).__name__}; a list of folders is expected."
        )
    return tuple(_absolute(folder, part) for part in parts if part)


def _labels(found: tuple[object, str] | None) -> tuple[str, ...]:
    if found is None:
        return ()
    value, origin = found
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise SettingsError(f"`labels` in {origin} is a {type(value).__name__}; a list of words is expected.")
    labels = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    for label in labels:
        if not _LABEL.fullmatch(label):
            shown = _shown(label)
            raise SettingsError(
                f"`labels` in {origin} has {shown}; 1 to 63 of A-Z a-z 0-9 . _ - are expected, beginning with a "
                "letter or a digit."
            )
    return labels


def _port(found: tuple[object, str] | None) -> int:
    if found is None:
        return 0
    value, origin = found
    text = str(value)
    if not text.isdigit() or int(text) > 65535:
        shown = _shown(value)
        raise SettingsError(
            f"`web_port` in {origin} is {shown}; a number from 0 (any free port) to 65535 is expected."
        )
    return int(text)


def _host_and_port(found: tuple[object, str] | None) -> tuple[str, int] | None:
    """`0.0.0.0:9464` or `[::1]:9464`; an address without a host is this machine's own."""
    if found is None:
        return None
    value, origin = found
    host, _, port = str(value).rpartition(":")
    if not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535 or "/" in host:
        shown = _shown(value)
        raise SettingsError(
            f"`metrics_address` in {origin} is {shown}; host:port is expected, such as 127.0.0.1:9464, or 0.0.0.0:9464 "
            "for other machines."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _whole_number(name: str, found: Mapping[str, tuple[object, str]], default: int) -> int:
    if name not in found:
        return default
    value, origin = found[name]
    text = str(value)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _LARGEST:
        shown = _shown(value)
        raise SettingsError(
            f"`{name}` in {origin} is {shown}; a whole number from 1 to {_LARGEST} is expected."
        )
    return int(text)
