"""Published campaigns: the table, its random row, and what the command says about both."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from proteinx_pipelines.bench import campaign
from proteinx_pipelines.bench.campaign import PROTOCOLS, Published, RandomCheck, is_below, published_table
from proteinx_pipelines.campaign.simulation import simulate_on
from proteinx_pipelines.cli.bench import bench
from proteinx_pipelines.cli.bench_campaign import random_words
from proteinx_pipelines_tests.campaign.conftest import flags_of, toy  # noqa: F401  # a fixture

ASSAYS = Path(__file__).parents[2] / "../shared/data/assays"
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not ASSAYS.is_dir(), reason="the shared data folder is not there: GB1 is skipped"),
]


def test_the_published_table_has_the_values_of_its_source():
    table = published_table()
    assert len(table) == 49
    best, chance = table[0], next(row for row in table if row.is_random)
    assert (best.encoding, best.model, best.acquisition) == ("AA", "Boosting Ensemble", "thompson")
    assert (best.mean[-1], best.se[-1]) == pytest.approx((0.930, 0.014), abs=5e-4)
    assert (chance.mean[-1], chance.se[-1]) == pytest.approx((0.471, 0.013), abs=5e-4)
    assert len({row.mean[0] for row in table}) == 1  # all rules begin with the same 70 plates


def small_assays(folder: Path) -> Path:
    """Four assays of the form of ProteinGym: three sites of six residues under the name of GB1's."""
    from proteinx_pipelines_tests.campaign.conftest import TEMPLATE, additive, selection

    rows = selection(additive).rows.filter(
        np.array([name != "WT" for name in selection(additive).rows["mutant"].to_pylist()])
    )
    lines = [
        "mutant,DMS_score",
        *(f"{m},{s}" for m, s in zip(rows["mutant"].to_pylist(), rows["DMS_score"].to_pylist(), strict=True)),
    ]
    for name in (campaign.GB1, "OTHER"):
        (folder / f"{name}.csv").write_text("\n".join(lines))
    (folder / "index.json").write_text(
        json.dumps({name: {"template": TEMPLATE} for name in (campaign.GB1, "OTHER")})
    )
    return folder


def test_the_command_prints_ours_beside_the_published_and_fails_below(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTEINX_WORKDIR", str(tmp_path / "w"))
    monkeypatch.setitem(
        PROTOCOLS, "alde", campaign.Protocol("alde", campaign.Asked(10, 4, 5, 2), (campaign.GB1,), "ALDE's")
    )
    words = ["campaign", "--data", str(small_assays(tmp_path)), "--processes", "1"]
    found = CliRunner().invoke(
        bench, [*words, "--json", str(tmp_path / "out.json"), "--page", str(tmp_path / "pages")]
    )
    assert "AA, Boosting Ensemble, thompson" in found.stdout
    assert found.exit_code == 0, found.output
    (document,) = json.loads((tmp_path / "out.json").read_text())
    assert set(document) == {"protocol", "simulation", "published", "random"}
    assert (
        document["simulation"]["landscape"]["variants"] == 216
    )  # the wild type is added, as in the published domain
    assert (tmp_path / "pages" / f"{campaign.GB1}.html").is_file()
    monkeypatch.setattr(
        campaign,
        "published_table",
        lambda: [
            Published("x", "y", "greedy", (1.5,) * 5, (0.0,) * 5),
            Published("x", "y", "random", (0.5,) * 5, (0.1,) * 5),
        ],
    )
    below = CliRunner().invoke(bench, words)
    assert (below.exit_code, "below the best published" in below.stderr) == (1, True)
    elsewhere = CliRunner().invoke(bench, [*words, "--assay", "OTHER"])
    assert (elsewhere.exit_code, "published by ALDE" in elsewhere.stdout) == (0, False)


def test_singles_first_chooses_multiple_mutants_and_says_so_where_there_are_none(toy, tmp_path):  # noqa: F811
    found = campaign.run(toy, PROTOCOLS["singles"], [], folder=tmp_path, seeds=2, processes=1)
    assert (found.protocol.start, found.protocol.start_from) == (16, "singles")
    assert found.random_exact == ()


def test_what_is_undefined_is_below_everything(toy, tmp_path):  # noqa: F811
    found = simulate_on(toy, flags_of(), campaign.Asked(10, 1, 5, 2), folder=tmp_path, processes=1)
    worse = Published("x", "y", "z", (0.0,) * 5, (0.0,) * 5)
    assert not is_below(found, worse)
    assert is_below(found, Published("x", "y", "z", (1.5,) * 5, (0.0,) * 5))


def test_the_words_about_chance_follow_the_numbers():
    explained = RandomCheck(149_361, 0.471, 0.013, 0.504, 0.480)
    assert explained.is_explained
    assert "theirs is within 2" in random_words(explained)
    assert "theirs is not within 2" in random_words(RandomCheck(149_361, 0.471, 0.001, 0.504, 0.480))


@pytest.mark.parametrize("cells", [pytest.param(149_361, marks=needs_data)])
@pytest.mark.slow
def test_chance_on_the_measured_cells_explains_the_published_row(cells):
    landscape = campaign.read_landscape(campaign.GB1, ASSAYS / f"{campaign.GB1}.csv.gz", [])
    check = campaign.check_random(landscape)
    assert check.cells == cells
    assert (check.exact_480, check.exact_384) == pytest.approx((0.5044, 0.4804), abs=1e-3)
    assert check.is_explained
