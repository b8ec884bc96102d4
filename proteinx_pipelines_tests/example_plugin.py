"""The example distribution of models, installed as a user installs it, into a folder of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "examples" / "plugin_models"


def install(folder: Path) -> Path:
    """Install the package and its entry points; returns a folder for `sys.path` or PYTHONPATH."""
    copy = shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    target = folder / "installed"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(copy)], check=True)
    return target
