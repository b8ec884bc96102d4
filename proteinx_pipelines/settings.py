"""Settings of a node: WORKDIR, Redis, limits. Read from the environment, then `proteinx.toml`, then defaults.

Secrets (the password inside `REDIS_URL`) come from the environment only: a `redis_url` with a password in
`proteinx.toml` is refused. Error messages do not repeat an unreadable value that may contain a secret. Reading
settings creates nothing; `prepare_workdir` in `node.processes.workdir` does.
"""

import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.setting_values import (
    ENVIRONMENT,
    SETTINGS_FILE,
    absolute_path,
    read_choice,
    read_dask,
    read_folders,
    read_host_and_port,
    read_labels,
    read_master_address,
    read_meeting,
    read_port,
    read_positive,
    read_redis_address,
    read_store,
    read_trackers,
    read_whole_number,
    shown_value,
)
from proteinx_pipelines.workdir import Workdir


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
    meeting: str | None = None
    """`host:port` at which trainings on several machines meet; None: chosen when the node starts for a Master."""
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
        return read_redis_address(name, value, found[name][1]) if value else None

    def start(name: str) -> Path:
        return folder if found.get(name, ("", ""))[1] in ENVIRONMENT.values() else home

    workdir = absolute_path(start("workdir"), text("workdir", "workdir_compute"))
    side = text("queue_side", "right")
    if side not in ("left", "right"):
        origin = found["queue_side"][1]
        shown = shown_value(side)
        raise SettingsError(f"`queue_side` in {origin} is {shown}; `left` or `right` is expected.")
    return Settings(
        workdir=workdir,
        redis_url=address("redis_url"),
        queue_name=text("queue_name", "experiments"),
        result_queue_name=text("result_queue_name", "experiments:results"),
        queue_side=side,
        broker_url=address("broker_url"),
        data_roots=read_folders(start("data_roots"), found.get("data_roots")),
        web_port=read_port(found.get("web_port")),
        metrics_address=read_host_and_port(found.get("metrics_address")),
        dagster_home=absolute_path(
            start("dagster_home"), text("dagster_home", str(Workdir(workdir).dagster_home))
        ),
        node_name=text("node_name", socket.gethostname()),
        take_ahead=read_whole_number("take_ahead", found, 1_000),
        stall_limit_s=read_whole_number("stall_limit_s", found, 300),
        max_timeout_s=read_positive("max_timeout_s", found),
        max_memory_gb=read_positive("max_memory_gb", found),
        max_data_gb=read_positive("max_data_gb", found) or Settings.max_data_gb,
        labels=read_labels(found.get("labels")),
        meeting=read_meeting(found.get("meeting")),
        master=read_master_address(text("master", ""), found.get("master", ("", ""))[1]),
        store=read_store(text("store", ""), found.get("store", ("", ""))[1]),
        dask=read_dask(text("dask", ""), found.get("dask", ("", ""))[1], start("dask")),
        track=read_trackers(found.get("track")),
        store_max_gb=read_positive("store_max_gb", found),
        cache_max_gb=read_positive("cache_max_gb", found) or Settings.cache_max_gb,
        log_level=read_choice("log_level", found, ("DEBUG", "INFO", "WARNING", "ERROR"), Settings.log_level),
        log_format=read_choice("log_format", found, ("text", "json"), Settings.log_format),
        log_max_mb=read_positive("log_max_mb", found) or Settings.log_max_mb,
        log_files=read_whole_number("log_files", found, Settings.log_files),
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
