"""What ships as an example works, and what ships as data is what it says it is."""

import csv
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proteinx_pipelines.flags.parsing import parse_file

REPOSITORY = Path(__file__).resolve().parents[1]
DATA = REPOSITORY / "proteinx_pipelines" / "demo" / "data"
DEMO_FLAGS = sorted((REPOSITORY / "proteinx_pipelines" / "demo" / "flags").glob("*.json"))
EXAMPLE_FLAGS = sorted((REPOSITORY / "examples" / "flags").glob("*.json"))
SOURCES = sorted(path.name.removesuffix(".csv.gz") for path in DATA.glob("*.csv.gz"))


def relative(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("name", SOURCES)
def test_demo_data_agree_with_what_stands_beside_them(name: str) -> None:
    about = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
    template = about["template"]
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == about["rows"]
    tokens = [token for row in rows for token in row["mutant"].split(":")]
    assert [token for token in tokens if template[int(token[1:-1]) - 1] != token[0]] == []
    assert all(about[field] for field in ("source", "citation", "measured"))
    page = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page
    assert f"{len(rows):,}" in page
    assert about["citation"].split("doi:")[1] in page


def test_demo_data_stay_small() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 500_000


@pytest.mark.parametrize("path", [*DEMO_FLAGS, *EXAMPLE_FLAGS], ids=relative)
def test_every_flag_set_is_valid_and_asks_for_data_that_ship(path: Path) -> None:
    assert set(parse_file(path).data.source) <= set(SOURCES)


def test_the_demo_changes_nothing_but_the_split() -> None:
    first, second = (parse_file(path).nested() for path in DEMO_FLAGS)
    assert first.pop("split") != second.pop("split")
    assert first == second


def test_every_example_is_explained() -> None:
    page = (REPOSITORY / "examples" / "README.md").read_text(encoding="utf-8")
    scripts = [path.name for path in (REPOSITORY / "examples").glob("*.py")]
    assert [
        name for name in [*scripts, *(path.name for path in EXAMPLE_FLAGS)] if f"`{name}`" not in page
    ] == []


def test_the_simulated_master_needs_nothing_of_ours() -> None:
    text = (REPOSITORY / "examples" / "master.py").read_text(encoding="utf-8")
    assert "import redis" in text
    assert "proteinx_pipelines" not in text


@pytest.mark.slow
def test_the_minimal_script_leaves_a_directory_that_is_documented_file_for_file(tmp_path: Path) -> None:
    environment = {**os.environ, "PROTEINX_WORKDIR": str(tmp_path)}
    command = [sys.executable, str(REPOSITORY / "examples" / "minimal.py")]
    answer = subprocess.run(
        command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    )
    spearman = re.search(r"test/spearman\s+(\S+)", answer.stdout)
    assert spearman
    assert (
        0.5 < float(spearman[1]) < 0.75
    )  # a linear model on 650 of 813 single mutants; seed and split are fixed
    page = (REPOSITORY / "docs" / "experiment_directory.md").read_text(encoding="utf-8")
    root = tmp_path / "experiments" / "minimal"
    written = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    assert "experiment.json" in written
    assert [name for name in written if f"`{_placeholders(name)}`" not in page] == []


def _placeholders(name: str) -> str:
    name = re.sub(r"fold_\d+", "fold_<k>", name)
    return re.sub(r"g\d+-a\d+", "g<generation>-a<attempt>", name)
