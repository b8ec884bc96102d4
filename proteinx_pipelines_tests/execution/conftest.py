"""A WORKDIR with a small synthetic catalog: singles and doubles of a 24-residue protein with additive scores."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.settings import Settings, load_settings

TEMPLATE = "MQYKLILNGKTLKGETTTEAVDAA"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a node with a catalog of 220 variants of the source `TOY`."""
    found = load_settings({"PROTEINX_WORKDIR": str(tmp_path / "workdir")}, tmp_path)
    found.workdir.mkdir()
    write_catalog(found.database_path)
    return found


def write_catalog(path: Path, n_singles: int = 180, n_doubles: int = 40) -> None:
    """Two tables, as a user's own file would have them."""
    random = np.random.default_rng(0)
    letters = "ACDEFGHIKLMNPQRSTVWY"
    effect = {
        (p, a): float(random.normal()) for p in range(len(TEMPLATE)) for a in letters if a != TEMPLATE[p]
    }
    sites = list(effect)
    order = random.permutation(len(sites))
    singles = [(sites[k],) for k in order[:n_singles]]
    doubles = [(sites[order[k]], sites[order[-k - 1]]) for k in range(n_doubles)]
    doubles = [pair for pair in doubles if pair[0][0] != pair[1][0]]
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE sources(id INTEGER PRIMARY KEY, source_text TEXT UNIQUE NOT NULL, template TEXT NOT NULL);"
            "CREATE TABLE mutations(id INTEGER PRIMARY KEY, mutant TEXT NOT NULL, DMS_score REAL, DMS_score_bin TEXT,"
            " mut_num INTEGER NOT NULL, source INTEGER NOT NULL REFERENCES sources(id));"
        )
        connection.execute("INSERT INTO sources VALUES (1, 'TOY', ?)", (TEMPLATE,))
        for number, variant in enumerate(singles + doubles):
            mutant = ":".join(f"{TEMPLATE[p]}{p + 1}{a}" for p, a in sorted(variant))
            score = sum(effect[site] for site in variant) + float(random.normal(scale=0.1))
            connection.execute(
                "INSERT INTO mutations VALUES (?, ?, ?, NULL, ?, 1)",
                (number + 1, mutant, score, len(variant)),
            )
