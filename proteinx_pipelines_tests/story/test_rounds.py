"""Two rounds of a campaign on the queue: a plate is proposed, measured on a known landscape, and judged."""

import csv
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
SOURCE = "GB1_Nisthal_2019"


@pytest.fixture(scope="module")
def node(start_node: Callable[..., Node]) -> Node:
    return start_node(PROTEINX_NODE_NAME="rounds")


def command(node: Node, *words: str) -> Any:
    """One command of `proteinx`, as a person at the node's machine gives it."""
    done = subprocess.run(
        [sys.executable, "-m", "proteinx_pipelines.cli.main", *words, "--json"],
        env=node.environment, cwd=node.workdir, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_round_one_plate_measured_round_two(node: Node, tmp_path: Path) -> None:
    with gzip.open(next(DEMO.glob(f"{SOURCE}*.csv.gz")), "rt") as stream:
        truth = {row["mutant"]: row["DMS_score"] for row in csv.DictReader(stream)}
    template = json.loads(next(DEMO.glob(f"{SOURCE}*.json")).read_text(encoding="utf-8"))["template"]
    first = tmp_path / "first.csv"
    first.write_text("mutant,DMS_score\n" + "".join(f"{name},{truth[name]}\n" for name in [*truth][::4]))
    command(node, "db", "import", str(first), "--template", template)
    flags = ("data.source=first", "design.n=24", "design.controls=2", "evaluate.bootstrap=20", "--id", "lab")
    started = command(node, "round", "start", *flags, "--queue")
    assert (started["state"], started["rounds"][0]["via"]) == ("to propose", "queue")
    assert (
        command(node, "show", "lab-round-1")["state"] == "SUCCEEDED"
    )  # a message of the queue like any other
    plate = tmp_path / "plate.csv"
    command(node, "round", "propose", "--out", str(plate), "--queue")
    rows = list(csv.DictReader(plate.open()))
    for row in rows:
        row["DMS_score"] = truth.get(row["mutant"], "")  # what was never measured fails in this laboratory
    with plate.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    second = command(node, "round", "measured", str(plate), "--queue")
    one, two = second["rounds"]
    assert one["measured"]["n_of_plate"] == sum(row["DMS_score"] != "" and row["rank"] != "0" for row in rows)
    assert one["judged"]["n"] == one["measured"]["n_of_plate"] > 5
    assert (two["experiment_id"], two["source"]) == ("lab-round-2", "lab-round-2")
    again = command(node, "round", "propose", "--queue")
    assert again["rounds"][1]["plate"]["n_proposed"] == 24
    pages = [Path(each["page"]).read_text(encoding="utf-8") for each in again["rounds"]]
    assert "Predicted then, measured now" in pages[0]
    assert "The next plate of 24 is expected" in pages[0]
    assert "The plate is ready to order" in pages[1]
    (link,) = command(node, "lineage", "lab-round-2")["rounds"]
    assert link["measured_sha256"] == one["measured"]["fact"]["sha256"]
