"""The files around the package agree with one another: versions, Makefile, Dagster's and conda's files, the wheel."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def pins() -> dict[str, Requirement]:
    """`constraints.txt` by normalized name."""
    return dict(pin_lines())


def pin_lines() -> list[tuple[str, Requirement]]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [(pin.name.lower().replace("_", "-"), pin) for pin in found]


def test_every_constraint_is_one_version() -> None:
    """A merge left a package with two versions, and nothing could be installed."""
    named = [(name, str(pin.marker)) for name, pin in pin_lines()]
    assert sorted(set(named)) == sorted(named)
    loose = [str(pin) for pin in pins().values() if [part.operator for part in pin.specifier] != ["=="]]
    assert loose == []
    assert [name for name, pin in pins().items() if "+" in str(pin.specifier)] == []


def test_every_dependency_has_a_pin_that_fits() -> None:
    extras = PROJECT["project"]["optional-dependencies"].values()
    asked = [*PROJECT["project"]["dependencies"], *(line for extra in extras for line in extra)]
    wrong = []
    for requirement in map(Requirement, asked):
        pin = pins().get(requirement.name.lower().replace("_", "-"))
        version = next(iter(pin.specifier)).version if pin else None
        if version is None or not requirement.specifier.contains(Version(version), prereleases=True):
            wrong.append(f"{requirement} has {pin}")
    assert wrong == []


def test_the_clients_wheel_asks_for_what_the_whole_one_asks_for() -> None:
    """Both are built from one source; a bound that is raised in one is raised in the other."""
    text = (REPOSITORY / "client_wheel" / "pyproject.toml").read_text(encoding="utf-8")
    client = tomllib.loads(text)["project"]
    extras = [line for lines in client["optional-dependencies"].values() for line in lines]
    assert set(client["dependencies"]) | set(extras) <= set(PROJECT["project"]["dependencies"])
    assert client["requires-python"] == PROJECT["project"]["requires-python"]


def test_the_ways_to_install_use_the_constraints() -> None:
    requirements = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert "-c constraints.txt" in requirements
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == "proteinx_infra_compute"
    assert "python=3.12" in environment["dependencies"]
    assert environment["dependencies"][-1]["pip"] == ["-c constraints.txt", "-e ."]


def test_dagster_is_told_the_same_with_and_without_a_home() -> None:
    """The root's file counts for a bare `dagster dev`, the packaged one is written into every home.

    Only the storage differs: it is placed in a home, which a bare command does not have.
    """
    at_root, packaged = (
        yaml.safe_load((REPOSITORY / folder / "dagster.yaml").read_text(encoding="utf-8"))
        for folder in (".", "proteinx_pipelines/node/processes")
    )
    assert at_root == {name: value for name, value in packaged.items() if not name.endswith("_storage")}


def test_the_code_location_has_one_name() -> None:
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    module = workspace["load_from"][0]["python_module"]
    dg = PROJECT["tool"]["dg"]["project"]
    assert module["module_name"] == f"{dg['root_module']}.definitions"
    assert module["location_name"] == dg["code_location_name"]
    assert (REPOSITORY / module["working_directory"]).resolve() == REPOSITORY


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_lists_every_target_that_a_person_may_ask_for() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    # As a person types it, also when these tests were started by make: it would tell which folders it enters.
    plain = {
        name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")
    }
    listed = subprocess.run(
        ["make"], cwd=REPOSITORY, env=plain, check=True, capture_output=True, text=True
    ).stdout
    assert {line.split()[1] for line in listed.splitlines()} == targets
    assert {"setup", "demo", "test", "check", "dev", "help"} <= targets


def test_the_integration_run_calls_what_a_developer_calls() -> None:
    script = REPOSITORY / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert "target check" in text
    assert "target test" in text
    if sys.platform != "win32":
        assert script.stat().st_mode & 0o111


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("statuses", "again"),
    [({"unit": 0, "slow": 1, "story": 0}, True), ({"unit": 0, "slow": 1}, False),
     ({"unit": 1, "slow": 3, "story": 0}, False), ({}, False)],
)  # fmt: skip
def test_failures_are_run_again_only_where_each_set_ran_to_its_end(
    tmp_path: Path, statuses: dict[str, int], again: bool
) -> None:
    """A set that crashed leaves few failures behind: if these passed, the whole would be called passed."""
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\ncase "$*" in *last-failed*) echo again ;; *) exit "$STATUS" ;; esac\n', "utf-8"
    )
    python.chmod(0o755)
    words = ["make", "--silent", "-o", ".venv/.ready", "BIN=bin"]
    for name, status in statuses.items():
        made = subprocess.run(
            [*words, name], cwd=tmp_path, env={**os.environ, "STATUS": str(status)}, capture_output=True
        )
        assert (made.returncode == 0) == (status == 0)
    found = subprocess.run([*words, "again"], cwd=tmp_path, capture_output=True, text=True)
    assert ("again" in found.stdout.split(), found.returncode == 0) == (again, again), found.stderr
    assert again or "nothing is run again" in found.stderr


@pytest.mark.slow
def test_a_wheel_holds_everything_that_is_read_at_run_time(tmp_path: Path) -> None:
    """An editable install hides a file that was not packaged."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "README.zh.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(REPOSITORY / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("proteinx_pipelines", "docs", "examples"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        ".",
        ".",
    ]
    subprocess.run(command, cwd=source, check=True)
    with zipfile.ZipFile(next(source.glob("*.whl"))) as wheel:
        packed = set(wheel.namelist())
    shipped = {
        path.relative_to(source).as_posix()
        for path in (source / "proteinx_pipelines").rglob("*") if path.is_file()
    }  # fmt: skip
    assert shipped - packed == set()
    assert not any(name.startswith("proteinx_pipelines_tests") for name in packed)
    inside = "proteinx_pipelines/documentation"
    assert {
        f"{inside}/README.zh.md",
        f"{inside}/docs/pictures/report.png",
        f"{inside}/examples/minimal.py",
    } <= packed
    assert {path.name for path in (REPOSITORY / "examples" / "notebooks").glob("*.ipynb")} <= {
        Path(name).name for name in packed
    }
    assert not any("/making/" in name for name in packed)
    installed = tmp_path / "installed"
    with zipfile.ZipFile(next(source.glob("*.whl"))) as wheel:
        wheel.extractall(installed)
    code = "from proteinx_pipelines.cli.main import main; main(['docs', 'troubleshooting'])"
    environment = {**os.environ, "PYTHONPATH": str(installed), "TMPDIR": str(tmp_path)}
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    assert "leakage" in Path(shown.removeprefix("file://")).read_text(encoding="utf-8")


def test_every_package_that_tests_and_benchmarks_import_is_declared() -> None:
    """One that only lay in a developer's environment would fail in a clean one."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    declared = {re.split(r"[\[<>=;~! ]", line)[0].lower().replace("_", "-") for line in lines}
    come_with = {
        "yaml",
        "markupsafe",
        "starlette",
        "billiard",
        "packaging",
        "pydantic_core",
        "python_multipart",
    }
    files = [
        path
        for name in ("proteinx_pipelines_tests", "benchmarks")
        for path in (REPOSITORY / name).rglob("*.py")
    ]
    ours = {path.stem for path in files} | {"proteinx_pipelines", "proteinx_pipelines_tests"}
    owners = packages_distributions()
    wrong = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            for top in (
                {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - ours - come_with
            ):
                names = {name.lower().replace("_", "-") for name in owners.get(top, [top])}
                if names.isdisjoint(declared):
                    wrong.add((top, path.name))
    optional = {"building", "esm_cpp", "peers"}  # read by benchmarks alone where they are there
    assert {each for each in wrong if each[0] not in optional} == set()


def test_no_file_has_the_marks_of_an_unfinished_merge() -> None:
    """They once stood in the list of all pages, which is built strictly and was built all the same."""
    parts = (
        "proteinx_pipelines",
        "proteinx_pipelines_tests",
        "benchmarks",
        "docs",
        "deploy",
        "examples",
        ".",
    )
    kinds = {".py", ".md", ".html", ".js", ".css", ".yaml", ".yml", ".toml", ".json", ".txt", ".ipynb"}
    mark = re.compile(rf"^({'<' * 7}|{'>' * 7}) ", re.MULTILINE)
    found = [
        path.relative_to(REPOSITORY).as_posix()
        for part in parts
        for path in (REPOSITORY / part).glob("*" if part == "." else "**/*")
        if path.suffix in kinds and path.is_file() and mark.search(path.read_text("utf-8", "replace"))
    ]
    assert found == []
