"""Install the built wheel as a user does, before a release: `make installed`, `make extras`.

    python -m proteinx_pipelines_tests.install_check wheel
    python -m proteinx_pipelines_tests.install_check extras [EXTRA...]

Both install the wheel in `dist/` into an empty environment, where every version has to be the pinned one.

- `wheel`: runs `proteinx demo` and `proteinx docs` there.
- `extras`: installs each extra beside it, in pinned versions too, tries its use, and removes what it has brought.

Takes minutes and gigabytes below the temporary folder.
"""

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
CONSTRAINTS = REPOSITORY / "constraints.txt"
USES = {
    "objects": "from proteinx_pipelines.files.blobs.objects import _obstore; _obstore().store.MemoryStore()",
    "search": "import optuna; import proteinx_pipelines.stages.train.search; optuna.create_study()",
    "dask": "from proteinx_pipelines.execution.shards.on_dask import _distributed; _distributed().LocalCluster",
    "mcp": "from mcp.server.mcpserver import MCPServer; import proteinx_pipelines.mcp_server.server; MCPServer('a')",
    "mlflow": "import proteinx_pipelines.execution.tracking.to_mlflow; from mlflow import MlflowClient; MlflowClient()",
    "wandb": "import proteinx_pipelines.execution.tracking.to_wandb; import wandb; wandb.Settings()",
    "png": "import resvg_py, proteinx_pipelines.pages.figures.files; resvg_py.svg_to_bytes("
    'svg_string=\'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>\')',
    "postgres": "import psycopg, proteinx_pipelines.ledger.postgres; psycopg.pq.version()",
    "structure": "from proteinx_pipelines.evidence.packages import needed; "
    "needed('biotite.structure.io.pdb', 'a'); needed('pyhmmer.easel', 'b')",
    "deepspeed": "from lightning.pytorch.strategies import DeepSpeedStrategy; DeepSpeedStrategy(stage=2)",
    "transformers": "import proteinx_pipelines.stages.embedding.t5_engine; from transformers import T5EncoderModel",
    "docs": "import mkdocs.commands.build, material, mkdocstrings_handlers.python",
    "dev": "import pytest, hypothesis, schemathesis, playwright.sync_api, nbclient, mypy.api, openpyxl, matplotlib",
}
"""Python that uses an extra as the product does, with the part of the product that needs it."""
BUILT_HERE = ("deepspeed",)
"""Extras with a package that pip builds from source, with the PyTorch that is there."""


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.scripts = folder / ("Scripts" if os.name == "nt" else "bin")

    def pip(self, *words: str | Path) -> str:
        """What pip printed.

        Raises:
            SystemExit: pip has failed; with what it said.
        """
        return self.run("python", "-m", "pip", "--disable-pip-version-check", *words)

    def run(self, program: str, *words: str | Path, folder: Path | None = None) -> str:
        """What a program of the environment printed, without the settings and paths of this shell.

        Raises:
            SystemExit: it has failed; with what it said.
        """
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PROTEINX_", "DAGSTER_", "PYTHON", "VIRTUAL_ENV")) and name != "REDIS_URL"
        }
        done = subprocess.run(
            [self.scripts / program, *words],
            cwd=folder,
            env=clean,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"failed: {program} {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def packages(self) -> dict[str, str]:
        """Installed packages and their versions."""
        listed = json.loads(self.pip("list", "--format=json"))
        return {canonicalize_name(each["name"]): each["version"] for each in listed}


def main(arguments: Sequence[str]) -> None:
    """Check the wheel, or extras.

    Raises:
        SystemExit: something cannot be installed or does not work; it says what.
    """
    wheels = sorted((REPOSITORY / "dist").glob("proteinx_infra-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit("No wheel is in dist/: `make wheel` builds it.")
    with tempfile.TemporaryDirectory(prefix="proteinx-install-") as name:
        base = Environment(Path(name) / "base")
        base.pip("install", "--quiet", "--no-compile", "-c", CONSTRAINTS, wheels[-1])
        refuse_unpinned("The wheel", base.packages())
        say(f"{wheels[-1].name}: {len(base.packages())} packages")
        if arguments[:1] == ["wheel"]:
            check_wheel(base, Path(name))
        else:
            for extra in arguments[1:] or extras():
                check_extra(base, extra, wheels[-1], Path(name))


def check_wheel(base: Environment, folder: Path) -> None:
    """Run what a reader of the README runs first."""
    printed = base.run("proteinx", "demo", "--workdir", folder / "workdir", folder=folder)
    say(printed.strip().splitlines()[-1])
    address = base.run("proteinx", "docs", "troubleshooting", folder=folder).strip()
    page = Path(address.removeprefix("file://"))
    if "missing_package" not in page.read_text(encoding="utf-8"):
        raise SystemExit(f"{address} is not the page that was asked for")
    say(f"proteinx docs troubleshooting: {address}")


def check_extra(base: Environment, extra: str, wheel: Path, folder: Path) -> None:
    """Install an extra beside the base, use it, remove what it brought.

    The constraints hold every version, so what differs from an empty environment can only be a package without one.
    """
    built = ("--no-build-isolation",) if extra in BUILT_HERE else ()
    before = base.packages()
    wanted = f"proteinx-infra[{extra}] @ {wheel.as_uri()}"
    base.pip("install", "--quiet", "--no-compile", *built, "-c", CONSTRAINTS, wanted)
    after = base.packages()
    refuse_unpinned(
        f"[{extra}]", {name: version for name, version in after.items() if before.get(name) != version}
    )
    base.pip("check")
    base.run("python", "-c", USES[extra], folder=folder)
    brought = sorted(set(after) - set(before))
    say(f"[{extra}]: {len(brought)} more packages, works")
    if brought:
        base.pip("uninstall", "--quiet", "--yes", *brought)


def extras() -> list[str]:
    """Extras of `pyproject.toml`."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["project"]["optional-dependencies"])


def refuse_unpinned(what: str, chosen: Mapping[str, str]) -> None:
    """End where a package has a version that `constraints.txt` does not name, ours aside.

    Raises:
        SystemExit: it has; with the names and versions.
    """
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    ours_and_pip = {"proteinx-infra", "pip", "setuptools"}
    others = [
        f"{name} {version}"
        for name, version in chosen.items()
        if canonicalize_name(name) not in ours_and_pip
        and versions.get(canonicalize_name(name)) != version.partition("+")[0]
    ]
    if others:
        raise SystemExit(f"{what} installs what constraints.txt does not name: {', '.join(others)}")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
