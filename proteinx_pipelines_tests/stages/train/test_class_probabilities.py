"""Probabilities come from training rows that were left out as the split leaves out its test rows."""

from dataclasses import replace

import building
import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import AMINO_ACIDS, Fold, Split, VariantTable
from proteinx_pipelines.stages.train.class_probabilities import _groups, calibrated
from proteinx_pipelines.stages.train.export import load_model
from proteinx_pipelines.stages.train.ordinal import fit_class_map
from proteinx_pipelines.stages.train.train import train_models

TEMPLATE = "MKTAYIAKQRQISFVKSHFSRQ"


def singles(noise=0.6, seed=0, cut=0.0) -> VariantTable:
    """All single mutants by six residues; a class by site and residue, with noise."""
    random = np.random.default_rng(seed)
    site, residue = (
        random.normal(size=len(TEMPLATE)),
        dict(zip(AMINO_ACIDS, random.normal(size=20), strict=True)),
    )
    found = [
        (at, new, site[at] + 0.7 * residue[new] + noise * random.normal())
        for at in range(len(TEMPLATE))
        for new in "DGLWPN"
        if new != TEMPLATE[at]
    ]
    mutants = [f"{TEMPLATE[at]}{at + 1}{new}" for at, new, _ in found]
    score = np.array([value for _, _, value in found])
    rows = pa.table(
        {
            "id": [f"toy/{mutant}" for mutant in mutants],
            "source": ["toy"] * len(found),
            "mutant": mutants,
            "sequence": [TEMPLATE[:at] + new + TEMPLATE[at + 1 :] for at, new, _ in found],
            "target": (score > cut).astype(np.float64),
            "DMS_score": score,
            "mut_num": pa.array(np.ones(len(found)), pa.int32()),
            "n_merged": pa.array(np.ones(len(found)), pa.int32()),
        }
    )
    return VariantTable(rows, {"toy": TEMPLATE})


VARIANTS = singles()
POSITION = np.array([int(mutant[1:-1]) for mutant in VARIANTS.column("mutant")])


def trained(folder, variants, fold, **groups):
    split = Split(
        variants.rows.column("id").combine_chunks(), (fold,), pa.array(["because"] * variants.n_variants)
    )
    flags = building.flags(transform={"bins": (0.0,)}, **groups)
    found = train_models(
        variants, building.one_hot(variants), split, flags, directory=ExperimentDir(folder, "toy"),
        monitor=StageMonitor(),
    )  # fmt: skip
    return found.info["folds"][0], found.model_dirs[0], load_model(found.model_dirs[0])


def fold_of(tested) -> Fold:
    rows = np.arange(VARIANTS.n_variants)
    return Fold(rows[~tested], rows[:0], rows[tested])


@pytest.mark.parametrize("kind", ["variants", "positions", "stretches"])
def test_groups_are_left_out_as_the_split_does(kind):
    training = np.arange(VARIANTS.n_variants)
    group = _groups(VARIANTS, changed_sites(VARIANTS), training, kind, 0)
    assert set(group) == set(range(5))
    by_position = [set(group[place == POSITION]) for place in np.unique(POSITION)]
    if kind == "variants":
        assert max(map(len, by_position)) > 1
        shares = [VARIANTS.column("target")[group == k].mean() for k in range(5)]
        assert np.ptp(shares) < 0.1
    else:
        assert max(map(len, by_position)) == 1
    if kind == "stretches":
        assert (np.diff(group[np.argsort(POSITION, kind="stable")]) >= 0).all()


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (SplitFlags(), "variants"),
        (SplitFlags(method="by_position", folds=5), "positions"),
        (SplitFlags(method="contiguous", folds=5), "stretches"),
        (SplitFlags(method="leave_p_out"), "variants"),
        (SplitFlags(method="leave_p_out", held_out="positions"), "positions"),
    ],
)
def test_a_model_of_all_rows_is_calibrated_as_its_split_asks(asked, kind):
    """That of `leave_p_out` of positions was calibrated on single variants."""
    rows = np.arange(VARIANTS.n_variants)
    fold = Fold(rows, rows[:0], rows[:0])
    _, told = calibrated(
        VARIANTS,
        Split(None, (fold,), None, {}),
        fold,
        (0.0,),
        asked=asked,
        validation=None,
        left_out=lambda part, _number: np.zeros(len(part.test)),
        seed=0,
    )
    assert told["class_probabilities"]["calibrated_on"] == f"training rows left out by {kind}"


def test_rows_are_left_out_by_what_the_split_tests(tmp_path):
    random_rows = fold_of(np.arange(VARIANTS.n_variants) % 4 == 0)
    by_position, by_stretch = fold_of(POSITION % 4 == 0), fold_of(POSITION <= 8)
    for fold, method, said in (
        (random_rows, "random", "variants"), (by_position, "modulo", "positions"),
        (by_stretch, "contiguous", "stretches"),
    ):  # fmt: skip
        info, _, _ = trained(tmp_path / said, VARIANTS, fold, split={"method": method})
        assert info["class_probabilities"]["calibrated_on"] == f"training rows left out by {said}"
        assert info["class_probabilities"]["rows"] == len(fold.train)
    assert not list(tmp_path.glob("*/**/.classes-*"))


def test_no_test_target_is_read_and_the_exported_model_has_the_map(tmp_path):
    fold = fold_of(np.arange(VARIANTS.n_variants) % 4 == 0)
    target = VARIANTS.column("target").copy()
    target[fold.test] = 1 - target[fold.test]
    at = VARIANTS.rows.column_names.index("target")
    turned = replace(VARIANTS, rows=VARIANTS.rows.set_column(at, "target", pa.array(target)))
    _, one, model = trained(tmp_path / "one", VARIANTS, fold)
    _, other, _ = trained(tmp_path / "other", turned, fold)
    assert (one / "model.json").read_bytes() == (other / "model.json").read_bytes()
    embedding = building.one_hot(VARIANTS)
    found = model.predict_probabilities(embedding, fold.test)
    assert found.shape == (len(fold.test), 1)
    assert np.array_equal(found, model.classes.probabilities(model.predict(embedding, fold.test)))
    measured = VARIANTS.column("target")[fold.test]
    assert np.mean((found[:, 0] - measured) ** 2) < 0.9 * measured.mean() * (1 - measured.mean())


def test_what_a_model_says_of_its_own_rows_would_be_too_sure(tmp_path):
    """The guard off: the map of the rows that the model was trained on."""
    fold = fold_of(np.arange(VARIANTS.n_variants) % 4 == 0)
    _, _, model = trained(tmp_path, VARIANTS, fold, model={"name": "ridge", "alpha": 0.01})
    embedding, target = building.one_hot(VARIANTS), VARIANTS.column("target")
    own = fit_class_map(model.predict(embedding, fold.train), target[fold.train], (0.0,))
    predicted = model.predict(embedding, fold.test)
    loss = [
        float(-np.log(np.where(target[fold.test] > 0, p, 1 - p)).mean())
        for p in (each.probabilities(predicted)[:, 0] for each in (model.classes, own))
    ]
    assert loss[0] < loss[1]
    assert own.slope / own.scale > 1.3 * model.classes.slope / model.classes.scale


@pytest.mark.parametrize(
    ("inner", "n_val", "used"), [(False, 60, False), (True, 12, False), (True, 60, True)]
)
def test_validation_rows_of_a_network_are_used_where_they_are_as_unfamiliar_as_test_rows(inner, n_val, used):
    rows = np.arange(VARIANTS.n_variants)
    fold = Fold(rows[n_val:90], rows[:n_val], rows[90:])
    split = Split(None, (fold,), None, {"inner_method": "by_position"} if inner else {})
    asked = []

    def left_out(part, number):
        asked.append((len(part.train), part.val is fold.val, number))
        return np.zeros(len(part.test))

    _, told = calibrated(
        VARIANTS,
        split,
        fold,
        (0.0,),
        asked=SplitFlags(),
        validation=np.linspace(0, 1, n_val),
        left_out=left_out,
        seed=0,
    )
    assert changed_sites(VARIANTS).are_new((fold,))  # the last rows are of the last positions
    is_used = told["class_probabilities"]["calibrated_on"] == "validation rows"
    assert is_used == used
    assert bool(asked) != is_used
    assert all(kept for _, kept, _ in asked)


def test_a_class_that_training_hardly_sees_is_refused_before_anything_is_trained(tmp_path):
    variants = singles(cut=2.2)
    fold = fold_of(np.arange(variants.n_variants) % 4 == 0)
    assert 0 < variants.column("target")[fold.train].sum() < 5
    with pytest.raises(
        BadVariants, match=r"`transform.bins` needs at least 5 training rows on each side"
    ) as error:
        trained(tmp_path, variants, fold)
    assert "training rows are at or above 0" in str(error.value)
    assert not list(tmp_path.rglob("model.json"))
