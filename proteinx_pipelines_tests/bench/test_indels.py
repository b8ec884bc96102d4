"""ProteinGym's protocol for insertions and deletions on a made-up assay: a signal that composition tells is found."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench.indels import assay_files, score_assay
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import CatalogError, MissingFile

TEMPLATE = "MSEQKTLDAVWRGHNPFYICKLAETSDVQMRNGIPWHKLF"


@pytest.fixture
def folder(tmp_path):
    """About 110 variants whose score is the number of charged residues, and a little noise."""
    random = np.random.default_rng(0)
    lines, seen = ["mutated_sequence,DMS_score,fold_random_5"], {TEMPLATE}
    for number in range(120):
        place = int(random.integers(1, 38))
        inserted = "".join(random.choice(list("ACDEFGKLRW"), int(random.integers(0, 4))))
        sequence = TEMPLATE[:place] + inserted + TEMPLATE[place + int(random.integers(0, 3)) :]
        if sequence in seen:
            continue
        seen.add(sequence)
        score = sum(sequence.count(letter) for letter in "DEKR") + random.normal(0, 0.05)
        lines.append(f"{sequence},{score:.3f},{number % 5}")
    (tmp_path / "TOY.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "DMS_indels.csv").write_text(f"DMS_id,target_seq\nTOY,{TEMPLATE}\n")
    return tmp_path


def test_the_folds_of_the_file_are_followed(folder):
    (file,) = assay_files(folder)
    row = score_assay(file, "ridge", "kmers", ["model.alpha=1", "transform.duplicates=mean"])
    assert row.own_folds
    assert row.n_indels > 60
    assert row.found.pooled > 0.8


def test_without_folds_they_are_drawn_and_the_command_prints_the_mean(folder):
    text = (folder / "TOY.csv").read_text().splitlines()
    (folder / "TOY.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in text) + "\n")
    run = CliRunner().invoke(
        main, ["bench", "proteingym-indels", "--data", str(folder), "--model", "ridge", "--json"]
    )
    assert run.exit_code == 0, run.output
    (document,) = json.loads(run.stdout)
    assert document["own_folds"] is False
    assert document["spearman"] > 0.6


def test_a_folder_without_assays_and_an_assay_without_a_template_are_refused(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingFile, match=r"DMS_ProteinGym_indels.zip"):
        assay_files(tmp_path / "empty")
    (folder / "DMS_indels.csv").unlink()
    with pytest.raises(CatalogError, match=r"template of .* is not known"):
        score_assay(folder / "TOY.csv", "ridge", "kmers", [])
