"""Names of the settings, and a check for each kind of value: takes what was written and where, returns the value.

Errors name the setting, its origin and the expected values, and repeat no secret. `settings` reads the sources and puts
the values together.
"""

import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

from proteinx_pipelines.errors import SettingsError
from proteinx_pipelines.http_address import has_login, http_problem
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.redis_address import EXPECTED, address_problem, has_password
from proteinx_pipelines.store_address import store_problem

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
    "meeting": "PROTEINX_MEETING",
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


def read_redis_address(name: str, value: str, origin: str) -> str:
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


def read_master_address(value: str, origin: str) -> str | None:
    """Check the address of the Master; errors contain no part of it that may be a secret."""
    if not value:
        return None
    if http_problem(value) is not None or has_login(value) or "?" in value or "#" in value:
        raise SettingsError(
            f"`master` in {origin} cannot be used: http://host:port or https://host is expected, without user, "
            "password or parameters. The token comes from PROTEINX_TOKEN."
        )
    return value.rstrip("/")


def read_dask(value: str, origin: str, folder: Path) -> str | None:
    """Check the address of a Dask scheduler, or the path of its file."""
    if not value:
        return None
    if value.startswith(("tcp://", "tls://")):
        return value
    if "://" in value:
        raise SettingsError(
            f"`dask` in {origin} cannot be used: tcp://host:8786, or a scheduler's file, is expected."
        )
    return str(absolute_path(folder, value))


def read_trackers(written: tuple[object, str] | None) -> tuple[str, ...]:
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
        shown = shown_value(value)
        raise SettingsError(f"`track` in {origin} is {shown}; some of {', '.join(TRACKERS)} are expected.")
    return tuple(dict.fromkeys(chosen))


def read_store(value: str, origin: str) -> str | None:
    """Check the address of the shared store; errors contain no part of it that may be a secret."""
    if not value:
        return None
    problem = store_problem(value)
    if problem is not None:
        raise SettingsError(f"`store` in {origin} cannot be used: {problem}.")
    return value.rstrip("/") if not value.endswith("://") else value


def shown_value(value: object) -> str:
    """The start of a value, without secrets: hidden before it is cut, since half an address hides nothing."""
    return redact(repr(value)[:_LONGEST_READ])[:_LONGEST_SHOWN]


def read_choice(
    name: str, found: Mapping[str, tuple[object, str]], choices: tuple[str, ...], default: str
) -> str:
    """Check a word against the allowed ones, ignoring case."""
    value, origin = found.get(name, (default, "default"))
    for choice in choices:
        if isinstance(value, str) and value.strip().lower() == choice.lower():
            return choice
    shown = shown_value(value)
    raise SettingsError(f"`{name}` in {origin} is {shown}; one of {', '.join(choices)} is expected.")


def read_positive(name: str, found: Mapping[str, tuple[object, str]]) -> float | None:
    """Check that a number is greater than 0; None where it is not set."""
    if name not in found:
        return None
    value, origin = found[name]
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not (number > 0 and math.isfinite(number)):
        shown = shown_value(value)
        raise SettingsError(f"`{name}` in {origin} is {shown}; a number greater than 0 is expected.")
    return number


def absolute_path(folder: Path, text: str) -> Path:
    """Make a path absolute; a relative one starts at `folder`."""
    path = Path(text).expanduser()
    return (path if path.is_absolute() else folder / path).resolve()


def read_folders(folder: Path, found: tuple[object, str] | None) -> tuple[Path, ...]:
    """Check a list of folders, or a text of them as in PATH; none where it is not set."""
    if found is None:
        return ()
    value, origin = found
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise SettingsError(
            f"`data_roots` in {origin} is a {type(value).__name__}; a list of folders is expected."
        )
    return tuple(absolute_path(folder, part) for part in parts if part)


def read_labels(found: tuple[object, str] | None) -> tuple[str, ...]:
    """Check labels: a list of words, or a text of them separated by commas."""
    if found is None:
        return ()
    value, origin = found
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise SettingsError(f"`labels` in {origin} is a {type(value).__name__}; a list of words is expected.")
    labels = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
    for label in labels:
        if not _LABEL.fullmatch(label):
            shown = shown_value(label)
            raise SettingsError(
                f"`labels` in {origin} has {shown}; 1 to 63 of A-Z a-z 0-9 . _ - are expected, beginning with a "
                "letter or a digit."
            )
    return labels


def read_port(found: tuple[object, str] | None) -> int:
    """Check a port; 0, any free one, where it is not set."""
    if found is None:
        return 0
    value, origin = found
    text = str(value)
    if not text.isdigit() or int(text) > 65535:
        shown = shown_value(value)
        raise SettingsError(
            f"`web_port` in {origin} is {shown}; a number from 0 (any free port) to 65535 is expected."
        )
    return int(text)


def read_meeting(found: tuple[object, str] | None) -> str | None:
    """Check `10.0.0.7:29500`, an address of this machine and the first of two ports side by side."""
    if found is None:
        return None
    value, origin = found
    host, _, port = str(value).rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65535:
        raise SettingsError(
            f"`meeting` in {origin} is {shown_value(value)}; host:port is expected, such as 10.0.0.7:29500: an address "
            "of this machine that other nodes reach, and the first of two ports."
        )
    return str(value)


def read_host_and_port(found: tuple[object, str] | None) -> tuple[str, int] | None:
    """`0.0.0.0:9464` or `[::1]:9464`; an address without a host is this machine's own."""
    if found is None:
        return None
    value, origin = found
    host, _, port = str(value).rpartition(":")
    if not (port.isascii() and port.isdigit()) or not 0 <= int(port) <= 65535 or "/" in host:
        shown = shown_value(value)
        raise SettingsError(
            f"`metrics_address` in {origin} is {shown}; host:port is expected, such as 127.0.0.1:9464, or 0.0.0.0:9464 "
            "for other machines."
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def read_whole_number(name: str, found: Mapping[str, tuple[object, str]], default: int) -> int:
    """Check a whole number from 1; the default where it is not set."""
    if name not in found:
        return default
    value, origin = found[name]
    text = str(value)
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= _LARGEST:
        shown = shown_value(value)
        raise SettingsError(
            f"`{name}` in {origin} is {shown}; a whole number from 1 to {_LARGEST} is expected."
        )
    return int(text)
