"""`proteinx bench proteingym --structures`: files belong to assays by name, and only those assays run."""

import csv
import gzip
import json

import numpy as np
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench.evidence_files import evidence_pairs
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import MissingFile
from proteinx_pipelines_tests.evidence.proteins import fasta, relatives, sequence_of, structure_text


def test_a_file_belongs_to_the_assays_whose_names_begin_with_its_own(tmp_path):
    for name in ("P53_HUMAN.a2m.gz", "P53_HUMAN_Kotler.pdb", "P5.pdb", "README.md", "P53_HUMAN.a3m"):
        (tmp_path / name).write_text("x")
    found = evidence_pairs(tmp_path, ["P53_HUMAN_Kotler", "P53_HUMAN_Giacomelli", "P53", "GFP"])
    names = {assay: sorted(pair.rpartition("/")[2] for pair in pairs) for assay, pairs in found.items()}
    assert set(names) == {"P53_HUMAN_Kotler", "P53_HUMAN_Giacomelli"}
    assert "P53_HUMAN_Kotler.pdb" in names["P53_HUMAN_Kotler"]
    assert len(names["P53_HUMAN_Giacomelli"]) == 1
    with pytest.raises(MissingFile, match="no structures or alignments"):
        evidence_pairs(tmp_path / "nowhere", ["P53"])


def test_the_command_runs_the_assays_that_have_a_file(tmp_path):
    template, rng = sequence_of(25), np.random.default_rng(0)
    data, files = tmp_path / "data", tmp_path / "files"
    for folder in (data, files):
        folder.mkdir()
    rows = [(f"{template[at]}{at + 1}{letter}", rng.normal(), rng.integers(0, 5))
            for at in range(25) for letter in "ACDW" if letter != template[at]]  # fmt: skip
    for name in ("TOY_ONE", "OTHER_ONE"):
        with gzip.open(data / f"{name}.csv.gz", "wt", newline="") as stream:
            csv.writer(stream).writerows([("mutant", "DMS_score", "fold_random_5"), *rows])
    (data / "index.json").write_text(
        json.dumps({name: {"template": template} for name in ("TOY_ONE", "OTHER_ONE")})
    )
    (files / "TOY.pdb").write_text(structure_text({"A": template}))
    (files / "TOY.a3m").write_text(fasta(relatives(template, 8)))
    asked = [
        "bench",
        "proteingym",
        "--data",
        str(data),
        "--structures",
        str(files),
        "--model",
        "ridge",
        "--json",
    ]
    result = CliRunner().invoke(main, [*asked, "--jobs", "1"])
    assert result.exit_code == 0, result.output
    (assay,) = json.loads(result.stdout)["assays"]
    assert assay["assay"] == "TOY_ONE"
    assert any("shallow" in reason for reason in assay["reasons"])
