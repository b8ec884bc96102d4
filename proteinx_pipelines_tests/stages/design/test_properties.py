"""Several properties: their goals combined, their constraints held, a model for each, from one file to one plate."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines import demo
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.execution.run_local import run_local_experiment
from proteinx_pipelines.experiment import open_experiment
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.flags.design import Bound, DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines.stages.design.candidates import candidates_of
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import load_final
from proteinx_pipelines.stages.design.objective import Objective, combine, fronts, meets, worth_of
from proteinx_pipelines.variant_files.understood import ReadingOptions

SOURCE = "GB1_Nisthal_2019"
DATA = Path(demo.__file__).with_name("data") / f"{SOURCE}.csv.gz"


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=25))
def test_fronts_are_those_of_the_definition(points) -> None:
    values = np.array(points, float)
    expected, left, number = np.zeros(len(points), int), set(range(len(points))), 0
    while left:
        number += 1
        first = {
            i for i in left
            if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
        }  # fmt: skip
        expected[list(first)] = number
        left -= first
    assert fronts(values).tolist() == expected.tolist()


def two(goal_b: object, **design) -> tuple[Objective, Predicted, DesignFlags]:
    candidates = candidates_of("s", "ACDEF", ["A1C", "A1D", "A1E", "A1F"])
    mean, further = np.array([3.0, 2.0, 1.0, 0.0]), np.array([0.0, 2.0, 3.0, -1.0])
    predicted = Predicted(candidates, mean, np.full(4, 0.1), 0.0, {"b": (further, np.full(4, 0.1))})
    objective = Objective("a", {"a": "maximize", "b": goal_b}, {"b": 0.0})
    return objective, predicted, DesignFlags(library="singles", **design)


def test_the_front_comes_first_and_weights_decide_where_they_are_asked_for() -> None:
    objective, predicted, flags = two("maximize")
    assert (
        np.argsort(-worth_of(objective, predicted, flags, 0.0)).tolist()[-1] == 3
    )  # beaten by the other three
    _, _, flags = two("maximize", combine="weighted", weights={"a": 0, "b": 1})
    assert np.argmax(worth_of(objective, predicted, flags, 0.0)) == 2
    assert np.argmax(combine({"a": predicted.mean}, flags)) == 0


def test_a_candidate_that_probably_misses_a_constraint_is_not_chosen() -> None:
    objective, predicted, flags = two(Bound(at_least=1.5))
    worth = worth_of(objective, predicted, flags, 0.0)
    assert np.isfinite(worth).tolist() == [False, True, True, False]
    assert np.argmax(worth) == 1
    assert meets(objective, predicted) == pytest.approx([0, 1, 1, 0], abs=1e-3)
    objective, predicted, flags = two(Bound(at_most=-5))
    with pytest.raises(EmptySelection, match="meet the constraints"):
        worth_of(objective, predicted, flags, 0.0)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (
            {"DMS_score": "maximize", "stability": "maximize"},
            "neither the target .DMS_score. nor in `data.properties`",
        ),
        ({"half": "maximize"}, "no goal for the target, DMS_score"),
        ({"DMS_score": {"at_least": 1}, "half": {"at_least": 1}}, "constraints alone"),
        ({"DMS_score": "maximize", "half": {}}, "exactly one of `at_least` and `at_most`"),
        ({"DMS_score": "maximize", "half": [2, 1]}, "its first number must be below"),
    ],
)
def test_goals_that_cannot_be_meant_are_refused(goal, message: str) -> None:
    flags = {"data": {"source": "s", "properties": ["half"]}, "design": {"library": "singles", "goal": goal}}
    with pytest.raises(FlagError, match=message):
        parse_flags(flags)


def test_a_weight_of_a_property_without_a_goal_is_refused() -> None:
    """A weight of `activity`, the file's name of the target, counted for nothing without a word."""
    goals = {"DMS_score": "maximize", "half": "minimize"}
    data = {"source": "s", "properties": ["half"]}
    with pytest.raises(
        FlagError, match=r"weights`: activity has no goal in `design.goal`, .* DMS_score, half;"
    ):
        parse_flags({"data": data, "design": {"goal": goals, "weights": {"activity": 2, "half": 1}}})
    with pytest.raises(FlagError, match=r"weights`: half has no goal"):
        parse_flags({"data": data, "design": {"weights": {"half": 1}}})
    assert parse_flags({"data": data, "design": {"goal": goals, "weights": {"half": 3}}}).design.weights == {
        "half": 3
    }


TEMPLATE = "MTYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    """Demo data with a second property, opposed to the first, of three quarters of the rows."""
    folder = tmp_path_factory.mktemp("properties")
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(folder / "w")})
    with gzip.open(DATA, "rt") as file:
        rows = list(csv.DictReader(file))
    lines = ["mutant,DMS_score,half"]
    for number, row in enumerate(rows):
        half = f"{-0.5 * float(row['DMS_score']):.4f}" if number % 4 else ""
        lines.append(f"{row['mutant']},{row['DMS_score']},{half}")
    (folder / "two.csv").write_text("\n".join(lines))
    settings.database_path.parent.mkdir(parents=True, exist_ok=True)
    import_file(
        settings.database_path, folder / "two.csv", template=TEMPLATE, name="two",
        options=ReadingOptions(score_column="DMS_score", further_columns=("half",)),
    )  # fmt: skip
    flags = {
        "data.source": "two", "data.properties": ["half"], "model.name": "gp", "model.kernel": "rbf",
        "evaluate.bootstrap": 0, "split.folds": 2, "design.library": "singles", "design.n": 12,
        "design.goal": {"DMS_score": "maximize", "half": {"at_least": -0.3}},
    }  # fmt: skip
    return run_local_experiment(settings, "two", parse_flags(flags)).directory


@pytest.mark.slow
def test_each_property_has_a_model_and_every_proposal_probably_meets_the_constraint(designed) -> None:
    model = load_final(designed.final_model_dir)
    assert list(model.further) == ["half"]
    assert model.further["half"].intervals.n > 100
    rows = pq.read_table(designed.design_dir / "proposals.parquet").to_pylist()
    assert len(rows) == 12
    assert all(row["p_constraints"] >= 0.5 and row["prediction:half"] > -0.3 for row in rows)
    # Without the constraint the best by the first property would miss it: the second falls as the first rises.
    predictions = pq.read_table(designed.design_dir / "predictions.parquet").to_pandas()
    assert predictions.nlargest(5, "prediction")["prediction:half"].max() < -0.3
    assert "half" in rows[0]["reason"]
    assert read_json(designed.design_dir / "report.json")["goal"]["half"] == {
        "at_least": -0.3,
        "at_most": None,
    }


@pytest.mark.slow
@pytest.mark.parametrize("acquisition", ["greedy", "thompson"])
def test_a_front_of_opposed_properties_reaches_from_one_end_to_the_other(designed, acquisition: str) -> None:
    experiment = open_experiment(designed.root)
    goal = {"DMS_score": "maximize", "half": "maximize"}
    found = experiment.propose(n=20, goal=goal, acquisition=acquisition, diversity=0)
    every = experiment.predict(found.mutant.tolist())
    assert np.allclose(every["prediction:half"], found["prediction:half"])
    if acquisition == "greedy":
        assert (found.front.diff().dropna() >= 0).all()
        assert found.front[0] == 1
    spread = pq.read_table(designed.design_dir / "predictions.parquet").to_pandas().prediction
    assert found.prediction.max() - found.prediction.min() > 0.5 * (spread.max() - spread.min())
