"""Versions of Python and of the packages whose older ones are dangerous; looked at in every start of a node.

Loads little: the supervisor keeps it for as long as it lives.
"""

import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata

from proteinx_pipelines.node.lifecycle.finding import OK, WARNING, WRONG, Finding
from proteinx_pipelines.settings import Settings

FLOORS = {
    "torch": ("2.10", "loading a checkpoint could run code in it (CVE-2026-24747)"),
    "lightning": ("2.6.6", "a checkpoint's hyperparameters could run code"),
    "dagster": ("1.13.27", "partition keys could carry SQL (CVE-2026-41490)"),
    "celery": ("5.7", "a worker can stop taking tasks after a reconnect"),
    "kombu": ("5.7", "a worker can stop taking tasks after a reconnect"),
    "redis": ("8.1", "a lost reply could repeat a command"),
}
"""Distribution -> oldest version to use, and the consequence of an older one."""
FORBIDDEN = {"lightning": ("2.6.2", "2.6.3")}
"""Versions that were malicious uploads (GHSA-w37p-236h-pfx3)."""
PYTHON_FLOORS = {(3, 11): (3, 11, 13), (3, 12): (3, 12, 11), (3, 13): (3, 13, 4)}
"""Below these, archives can write outside their folder (CVE-2025-4517). Ours are unpacked here, each name checked."""


def check_versions(_settings: Settings) -> Iterator[Finding]:
    """Python and the packages whose older versions are dangerous; part of every start of a node."""
    found = (sys.version_info.major, sys.version_info.minor, sys.version_info.micro)
    floor = PYTHON_FLOORS.get(found[:2])
    text = f"Python {platform.python_version()}"
    if floor and found < floor:
        wanted = ".".join(map(str, floor))
        yield Finding("versions", WARNING, f"{text}: install {wanted} or newer, for its security fixes.")
    else:
        yield Finding("versions", OK, text)
    for name, (least, why) in FLOORS.items():
        version = metadata.version(name)
        if version in FORBIDDEN.get(name, ()):
            yield Finding(
                "versions",
                WRONG,
                f"{name} {version} is a malicious upload. Remove it and change the node's secrets.",
            )
        elif numbers_of(version) < numbers_of(least):
            yield Finding(
                "versions", WRONG, f"{name} {version}: install {least} or newer; with this one {why}."
            )
        else:
            yield Finding("versions", OK, f"{name} {version}")


def numbers_of(version: str) -> tuple[int, ...]:
    """`2.10.0+cpu` -> (2, 10, 0): enough to compare releases."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])
