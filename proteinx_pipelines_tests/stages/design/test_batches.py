"""Batches of a real model: draws that go together, the constant liar, clusters, exploration, replicates."""

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS, VariantTable
from proteinx_pipelines.stages.design import joint
from proteinx_pipelines.stages.design.candidates import candidates_of, distinct
from proteinx_pipelines.stages.design.choosing import choose_batch
from proteinx_pipelines.stages.design.describe import measured_of
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.final_model import final_model, fit_final
from proteinx_pipelines.stages.design.intervals import Intervals
from proteinx_pipelines.stages.design.proposals import propose
from proteinx_pipelines.stages.embedding.embed import embed_variants

TEMPLATE = "MKACV"


class Toy:
    """All variants at two positions; 60 measured ones train a model, the others are its library."""

    def __init__(self, folder, kernel: str = "rbf", name: str = "gp") -> None:
        changes = [
            [f"{TEMPLATE[at - 1]}{at}{to}" for at, to in ((3, a), (4, c)) if to != TEMPLATE[at - 1]]
            for a in AMINO_ACIDS
            for c in AMINO_ACIDS
        ]
        every = candidates_of("s", TEMPLATE, [":".join(parts) or "WT" for parts in changes])
        rng = np.random.default_rng(3)
        letters = every.letters()[:, 2:4].astype(int)
        effects = rng.normal(size=(2, 256))
        target = effects[0, letters[:, 0]] + effects[1, letters[:, 1]] + 0.2 * rng.normal(size=every.n)
        some = np.sort(rng.permutation(every.n)[:60])
        rows = every.take(some).table().rows
        rows = rows.set_column(rows.column_names.index("target"), "target", pa.array(target[some]))
        self.variants = VariantTable(rows, {"s": TEMPLATE})
        flags = parse_flags(
            {"data.source": "s", "model": {"name": name, "kernel": kernel if name == "gp" else None}}
        )
        embedding = embed_variants(self.variants, flags.embedding, StageMonitor())
        fitted = fit_final(
            self.variants, embedding, flags, directory=ExperimentDir(folder, "toy"), monitor=StageMonitor()
        )
        intervals = Intervals("scaled" if name == "gp" else "constant", 1.0, 50, "at random")
        self.model = final_model(fitted, self.variants, flags, intervals, {})
        self.measured = measured_of(self.variants, "s", "maximize")
        library = distinct(every, self.measured.candidates)
        library = library.take(np.flatnonzero(library.counts > 0))
        self.predicted = Predicted(library, *self.model.predict(library), 0.0)

    def choose(self, **design):
        return choose_batch(
            self.predicted, self.measured, self.model, DesignFlags(library="singles", **design)
        )

    def covariance_of(self, rows) -> np.ndarray:
        return joint.covariance(self.model, self.predicted.candidates.take(rows))


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Toy:
    return Toy(tmp_path_factory.mktemp("toy"))


def test_each_variant_of_a_thompson_batch_is_the_best_of_its_own_joint_draw(toy: Toy) -> None:
    found = toy.choose(acquisition="thompson", n=5, diversity=0, seed=7)
    rows = np.arange(toy.predicted.candidates.n)
    draws = toy.model.model.predict_draws(toy.model.embedded(toy.predicted.candidates), rows, 5, (7,))
    taken: list[int] = []
    for draw in draws:
        draw[taken] = -np.inf
        taken.append(int(np.argmax(draw)))
    assert found.rows.tolist() == taken
    assert found.facts["draws"] == joint.EXACT
    assert toy.choose(acquisition="thompson", n=5, seed=8).rows.tolist() != taken


def test_a_library_without_structure_is_drawn_jointly_among_its_best(tmp_path, monkeypatch) -> None:
    toy = Toy(tmp_path, kernel="mutation")
    monkeypatch.setattr(joint, "MOST_JOINT", 50)
    found = toy.choose(acquisition="thompson", n=5)
    assert (found.facts["draws"], found.facts["n_drawn"]) == (joint.OF_THE_BEST, 50)
    optimism = toy.predicted.mean + 2 * toy.predicted.deviation
    assert optimism[found.rows].min() >= np.sort(optimism)[-50]


def test_a_model_without_a_covariance_draws_independently_and_says_so(tmp_path) -> None:
    toy = Toy(tmp_path, name="ridge")
    found = toy.choose(acquisition="thompson", n=5)
    assert found.facts["draws"] == joint.INDEPENDENT
    assert toy.choose(batching="liar", n=5).facts["batch"].startswith("penalties")


def test_the_liar_conditions_the_model_on_the_mean_of_the_measured_values(toy: Toy) -> None:
    found = toy.choose(acquisition="ucb", batching="liar", n=2, diversity=0)
    first, second = found.rows
    covariance = toy.covariance_of(np.arange(toy.predicted.candidates.n))
    noise = float(np.median(toy.predicted.deviation**2 - np.diag(covariance)))
    gain = covariance[:, first] / (covariance[first, first] + noise)
    mean = toy.predicted.mean + gain * (np.nanmean(toy.measured.target) - toy.predicted.mean[first])
    variance = np.diag(covariance) - gain * covariance[first] + noise
    worth = mean + np.sqrt(variance)
    worth[first] = -np.inf
    assert first == int(np.argmax(toy.predicted.mean + toy.predicted.deviation))
    assert second == int(np.argmax(worth))
    assert found.worth[1] == pytest.approx(worth.max())


def test_clusters_spread_a_batch_and_exploration_takes_the_least_certain(toy: Toy) -> None:
    plain = toy.choose(n=12, diversity=0)
    spread = toy.choose(n=12, diversity=0, batching="clusters")
    candidates = toy.predicted.candidates
    kinds = [len(np.unique(candidates.take(each.rows).residue)) for each in (plain, spread)]
    assert kinds[1] > kinds[0]
    mixed = toy.choose(n=12, diversity=0, explore=0.25)
    assert mixed.rows[:9].tolist() == plain.rows[:9].tolist()
    assert mixed.explored.tolist() == [False] * 9 + [True] * 3
    left = np.setdiff1d(np.arange(candidates.n), mixed.rows[:9])
    assert set(mixed.rows[9:]) == set(left[np.argsort(-toy.predicted.deviation[left], kind="stable")[:3]])


@pytest.mark.parametrize(
    "design", [{"acquisition": "thompson"}, {"batching": "liar"}, {"batching": "clusters"}, {"explore": 0.5}]
)
def test_every_way_holds_the_limit_by_position_and_chooses_nothing_twice(toy: Toy, design) -> None:
    found = toy.choose(n=30, most_per_position=6, **design)
    chosen = toy.predicted.candidates.take(found.rows)
    assert np.bincount(chosen.position).max() <= 6
    assert 0 < len(found.rows) == len(set(found.rows.tolist())) <= 12


def test_replicates_fill_wells_of_their_own(toy: Toy) -> None:
    flags = DesignFlags(library="singles", n=3, controls=2, wells_each=2)
    table, facts = propose(toy.predicted, toy.measured, toy.model, flags, offset=0, folds=[])
    assert table.column("rank").to_pylist() == [0, 0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert len(set(table.column("well").to_pylist())) == 10
    assert (facts["n_proposed"], facts["n_controls"]) == (3, 2)
