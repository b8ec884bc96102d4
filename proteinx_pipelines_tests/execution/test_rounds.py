"""A campaign from the first plate to the third round, on a landscape that is known."""

import copy
import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.cli.main import main
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.experiment_dir.campaign_dir import CampaignDir
from proteinx_pipelines_tests.campaign.conftest import TEMPLATE, additive, selection

OFFSET = 100
"""The user's numbering begins at 101."""
TRUTH = {
    ":".join(f"{part[0]}{int(part[1:-1]) + OFFSET}{part[-1]}" for part in mutant.split(":"))
    if mutant != "WT"
    else mutant: score
    for mutant, score in zip(
        *(selection(additive).rows[name].to_pylist() for name in ("mutant", "DMS_score")), strict=True
    )
}
FLAGS = (
    "data.source=first", "design.positions=101,102,103", "design.allowed={\"*\": \"ACDEFG\"}", "design.n=12",
    "design.controls=2", "split.folds=3", "evaluate.bootstrap=20", "evaluate.plots=false",
)  # fmt: skip


START = [*TRUTH][::7]
"""What is measured before the campaign: 31 variants, the wild type among them."""


class Lab:
    """The command line in a WORKDIR, and a laboratory that measures plates."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workdir = folder, folder / "w"
        start = folder / "first.csv"
        with start.open("w") as stream:
            stream.write("mutant,DMS_score\n")
            stream.writelines(f"{name},{TRUTH[name]}\n" for name in START)
        import_file(self.workdir / "database.db", start, template=TEMPLATE, offset=OFFSET)

    def __call__(self, *words: str, code: int = 0) -> Any:
        run = CliRunner().invoke(
            main, ["round", *words, "--json"], env={"PROTEINX_WORKDIR": str(self.workdir)}
        )
        assert run.exit_code == code, run.output
        return json.loads(run.stdout) if code == 0 else run.stderr

    def measure(self, plate: Path, name: str, skip: int = 0) -> Path:
        """The plate with what the laboratory found; some wells failed."""
        rows = list(csv.DictReader(plate.open()))
        for k, row in enumerate(rows):
            row["DMS_score"] = "" if k >= len(rows) - skip else str(TRUTH[row["mutant"]])
        target = self.folder / name
        with target.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return target


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def story(lab: Lab) -> dict[str, Any]:
    """What every command printed, from the start to the third round."""
    told = {"started": lab("start", *FLAGS, "--id", "toy")}
    plate = lab.folder / "plate.csv"
    told["proposed"] = lab("propose", "--out", str(plate))
    told["measured"] = lab("measured", str(lab.measure(plate, "filled.csv", skip=1)))
    told["again"] = lab("propose", "--n", "6", "design.acquisition=greedy")
    second = CampaignDir(lab.workdir / "campaigns", "toy").plate(2)
    told["last"] = lab("measured", str(lab.measure(second, "second.csv")))
    return told


def test_a_plate_has_wells_reasons_and_a_column_to_fill(lab, story):
    rows = list(csv.DictReader((lab.folder / "plate.csv").open()))
    assert len(rows) == 14
    assert [row["rank"] for row in rows[:3]] == ["0", "0", "1"]
    assert all(row["DMS_score"] == "" and row["well"] and row["reason"] for row in rows)
    assert story["proposed"]["rounds"][0]["plate"]["n_proposed"] == 12
    assert {row["mutant"] for row in rows[2:]}.isdisjoint(START)  # none is measured already


def test_what_was_measured_becomes_a_source_and_the_next_rounds_data(lab, story):
    from proteinx_pipelines.catalog.listing import list_sources, show_source

    sizes = {
        source.name: (source.rows, source.without_score)
        for source in list_sources(lab.workdir / "database.db")
    }
    assert sizes["toy-plate-1"] == (14, 1)
    assert sizes["toy-round-2"] == (31 + 14, 1)
    assert sizes["toy-round-3"] == (31 + 14 + 8, 1)
    assert show_source(lab.workdir / "database.db", "toy-round-2").offset == OFFSET
    first, second, third = story["last"]["rounds"]
    assert (first["measured"]["n_of_plate"], first["measured"]["n_missing"]) == (11, 1)
    assert (second["source"], third["source"]) == ("toy-round-2", "toy-round-3")
    assert third["experiment_id"] == "toy-round-3"


def test_wells_without_a_score_and_other_variants_of_the_file_are_said(lab, story, capsys):
    """Five of eight wells were empty, and the command said nothing of them."""
    from proteinx_pipelines.cli.round import _print_what_else

    found = CampaignDir(lab.workdir / "campaigns", "toy").read()
    _print_what_else(found.model_copy(update={"rounds": found.rounds[:1]}))
    said = capsys.readouterr().out
    assert "1 variants of the plate have no score" in said
    assert "2 other variants of the file, such as controls" in said


def test_a_promise_is_judged_on_what_was_promised_then(lab, story):
    judged = story["measured"]["rounds"][0]["judged"]
    rows = {row["mutant"]: row for row in csv.DictReader((lab.folder / "plate.csv").open())}
    assert judged["n"] == len(judged["variants"]) == 11
    for each in judged["variants"]:
        assert each["measured"] == TRUTH[each["mutant"]]
        assert each["prediction"] == pytest.approx(float(rows[each["mutant"]]["prediction"]))
    inside = [
        float(rows[e["mutant"]]["low"]) <= e["measured"] <= float(rows[e["mutant"]]["high"])
        for e in judged["variants"]
    ]
    assert judged["inside"] == sum(inside)
    promised = sum(float(rows[e["mutant"]]["p_better_than_wild_type"]) for e in judged["variants"])
    assert judged["wild_type"]["expected"] == pytest.approx(promised)
    assert judged["wild_type"]["found"] == sum(e["measured"] > TRUTH["WT"] for e in judged["variants"])
    known = max(TRUTH[name] for name in START)
    assert judged["best_before"] == pytest.approx(known)
    assert judged["best_now"] == pytest.approx(max(known, *(e["measured"] for e in judged["variants"])))
    assert {control["mutant"] for control in judged["controls"]} >= {"WT"}
    assert all(control["before"] == pytest.approx(control["now"]) for control in judged["controls"])


def test_the_additive_model_is_judged_on_the_same_plate(story):
    """On an additive landscape it ranks the plate as it is."""
    judged = story["measured"]["rounds"][0]["judged"]
    assert judged["additive_spearman"] > 0.5
    assert judged["wild_type"]["random_half"] == pytest.approx(5 * judged["wild_type"]["found"] / 11)


def test_changed_flags_choose_again_and_hold_for_later_rounds(story):
    assert story["again"]["rounds"][1]["plate"]["n_proposed"] == 6
    assert story["last"]["flags"]["design"]["acquisition"] == "greedy"


def test_each_round_has_a_page_that_tells_promise_and_measurement(story):
    pages = [Path(each["page"]).read_text(encoding="utf-8") for each in story["last"]["rounds"]]
    for words in (
        "Predicted then, measured now",
        "Go on or stop",
        "Where this comes from",
        "half an additive model rated",
    ):
        assert words in pages[0]
        assert words in pages[1]
    assert "Not proposed yet" in pages[2]
    assert "The next plate of 6 is expected" in pages[1]


def test_lineage_runs_through_the_rounds(lab, story):
    def lineage(name: str) -> Any:
        run = CliRunner().invoke(
            main, ["lineage", name, "--json"], env={"PROTEINX_WORKDIR": str(lab.workdir)}
        )
        assert run.exit_code == 0, run.output
        return json.loads(run.stdout)["rounds"]

    third = lineage("toy-round-3")
    assert [(each["round"], each["source"]) for each in third] == [(2, "toy-round-2"), (1, "first")]
    assert third[1]["measured_sha256"] == story["last"]["rounds"][0]["measured"]["fact"]["sha256"]
    assert lineage("toy-round-1") == []


def test_status_has_the_documents_of_every_round(lab, story):
    assert lab("status") == story["last"]
    printed = CliRunner().invoke(main, ["round", "status"], env={"PROTEINX_WORKDIR": str(lab.workdir)})
    assert re.search(r"toy-round-2 +toy-round-2 +6 +6", printed.stdout)


@pytest.fixture
def copied(lab: Lab, story: dict[str, Any], tmp_path: Path) -> Lab:
    """A copy of the WORKDIR after the story."""
    found = copy.copy(lab)
    found.folder, found.workdir = tmp_path, Path(shutil.copytree(lab.workdir, tmp_path / "w"))
    return found


def test_steps_out_of_order_are_refused_and_change_nothing(copied, tmp_path):
    lab = copied
    before = CampaignDir(lab.workdir / "campaigns", "toy").read()
    wrong = tmp_path / "x.csv"
    wrong.write_text("mutant,DMS_score\nA101C,1.0\n")
    assert "has no plate yet" in lab("measured", str(wrong), code=1)
    assert "exists already" in lab("start", *FLAGS, "--id", "toy", code=1)
    assert "There is no campaign 'toi'. Did you mean" in lab("status", "--id", "toi", code=1)
    assert "only design.NAME=VALUE" in lab("propose", "model.name=ridge", code=2)
    assert "is not there" in lab("measured", str(tmp_path / "none.csv"), code=1)
    assert CampaignDir(lab.workdir / "campaigns", "toy").read() == before


def test_a_file_that_is_not_of_the_plate_is_refused_and_nothing_is_imported(copied, tmp_path):
    from proteinx_pipelines.catalog.listing import list_sources

    lab = copied
    lab("propose")
    names = {source.name for source in list_sources(lab.workdir / "database.db")}
    other, broken = tmp_path / "other.csv", tmp_path / "broken.csv"
    other.write_text("mutant,DMS_score\nK104C,1.0\n")
    broken.write_text("mutant,DMS_score\nK104C,2.0\nW101C,1.0\n")
    said = lab("measured", str(other), code=1)
    assert "has a score for none of the 6 variants" in said
    named = re.search(r"\((.*), \.\.\.\)", said)
    assert named  # as on the plate: they were named in positions of the template
    assert set(named[1].split(", ")) <= TRUTH.keys()
    said = lab("measured", str(broken), code=1)
    assert "nothing was imported" in said
    assert "A round takes no options: correct the file" in said
    assert {source.name for source in list_sources(lab.workdir / "database.db")} == names


def test_changed_flags_are_read_with_those_of_the_campaign(copied):
    """A goal by property was refused: it was read without the properties that the campaign names."""
    from proteinx_pipelines.cli.round import _changed

    campaign = {"data": {"source": "x", "score": "activity", "properties": ["stability"]}}
    goal = {"activity": "maximize", "stability": {"at_least": 0.5, "at_most": None}}
    wanted = f"design.goal={json.dumps({**goal, 'stability': {'at_least': 0.5}})}"
    assert _changed((wanted,), 5, campaign) == {"design.goal": goal, "design.n": 5}
    assert "positions 999 are not in" in copied("propose", "design.positions=999", code=1)
    assert "expected one of" in copied("propose", "design.acquisition=best", code=1)


def test_a_filled_plate_is_read_for_what_was_measured_alone(tmp_path):
    """Round 2 of a campaign on `data.score=activity` was trained on the plate's four rows alone, took the model's
    deviations for those of measurements, and lost what was measured of the second property.
    """
    from proteinx_pipelines.catalog.combining import combine_sources
    from proteinx_pipelines.catalog.reading import read_rows
    from proteinx_pipelines.catalog.scores import source_scores
    from proteinx_pipelines.execution.round_files import PlateFiles
    from proteinx_pipelines.flags.data import DataFlags
    from proteinx_pipelines.settings import load_settings
    from proteinx_pipelines.variant_files.understood import ReadingOptions

    settings = load_settings(environment={"PROTEINX_WORKDIR": str(tmp_path / "w")})
    database = settings.database_path
    (tmp_path / "own.csv").write_text("mutant,activity,stability\nA1C,1,2\nC2D,3,4\n")
    options = ReadingOptions(score_column="activity", further_columns=("stability",))
    import_file(database, tmp_path / "own.csv", template="ACDE", options=options)
    files = PlateFiles(settings, "own", ("activity", "stability"))
    assert files.to_fill == ("DMS_score", "stability")
    plate = tmp_path / "plate.csv"
    plate.write_text(
        "rank,well,mutant,DMS_score,stability,prediction,deviation,stability of the proposal,reason\n"
        "1,A1,A1D,5,6,0.5,0.7,1,predicted\n2,A2,A1E,7,,0.5,0.7,1,predicted\n"
    )
    assert files.look(plate, "own") == {"A1D": True, "A1E": True}
    assert files.take(plate, "plate", "own") == (2, 0)
    combine_sources(database, ("own", "plate"), "round-2", {})
    assert source_scores(database)["plate"] == source_scores(database)["round-2"] == ["activity", "stability"]
    found = read_rows(
        database, DataFlags(source=("round-2",), score="activity", properties=("stability",))
    ).rows
    assert found.column("DMS_score").to_pylist() == [1, 3, 5, 7]
    assert found.column(found.column_names[-1]).to_pylist() == [2, 4, 6, None]

    (tmp_path / "lab.csv").write_text("Clone,activity,stability,SD\nA1F,1,2,0.1\n")
    assert files.take(tmp_path / "lab.csv", "lab", "own") == (1, 0)
    (tmp_path / "half.csv").write_text("mutant,stability\nA1F,2\n")
    with pytest.raises(CatalogError, match=r"half\.csv has stability and no column 'DMS_score'\. Add it"):
        files.look(tmp_path / "half.csv", "own")


def test_without_a_campaign_the_error_says_how_to_begin(tmp_path):
    run = CliRunner().invoke(main, ["round", "status"], env={"PROTEINX_WORKDIR": str(tmp_path)})
    assert run.exit_code == 1
    assert "proteinx round start data.source=NAME" in run.stderr
