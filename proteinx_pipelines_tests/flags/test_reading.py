"""Flags that nothing reads with this model: named, and in no key."""

import pytest

from proteinx_pipelines.execution.outside_inputs import reported_flags_sha256
from proteinx_pipelines.flags.model import MODELS, NETWORKS
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.flags.reading import READ_BY_EVERY_MODEL, READ_BY_MODEL, effective, in_words, unread
from proteinx_pipelines.flags.schema import known_names
from proteinx_pipelines.pipeline.stages import STAGES


def of(**flags):
    return parse_flags(
        {"data.source": "toy", **{name.replace("__", "."): value for name, value in flags.items()}}
    )


def keys(flags):
    return {name: stage.document(flags) for name, stage in STAGES.items()}, reported_flags_sha256(flags)


def test_every_model_declares_flags_that_there_are() -> None:
    assert set(READ_BY_MODEL) == set(MODELS)
    declared = {name for names in READ_BY_MODEL.values() for name in names} | set(READ_BY_EVERY_MODEL)
    assert {name for name in declared if not name.endswith("*")} <= set(known_names())


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"train__lr": 0.5}, ["train.lr"]),
        ({"model__name": "gp", "model__alpha": 3.0, "train__seed": 4}, ["model.alpha"]),
        ({"model__name": "mlp", "train__lr": 0.5, "model__channels": 64}, ["model.channels"]),
        ({"model__name": "cnn", "model__hidden_dims": [8], "trainer__max_steps": 5}, ["model.hidden_dims"]),
        ({"trainer__devices": 1, "trainer__gradient_clip_val": 0.5}, ["trainer.gradient_clip_val"]),
        ({"embedding__pooling": "bos", "embedding__precision": "bf16"}, ["embedding.pooling", "embedding.precision"]),
        ({"train__target": "rank", "train__export_pt": True, "model__alpha": 2.0}, []),
        ({"design__library": "singles", "design__beta": 2.0, "design__best": 9}, ["design.best", "design.beta"]),
        ({"design__library": "singles", "design__acquisition": "thompson", "design__batching": "liar"},
         ["design.batching"]),
        ({"design__library": "singles", "design__keep_measured": True}, ["design.keep_measured"]),
        ({"design__library": "singles", "design__combine": "weighted", "design__weights": {"DMS_score": 2.0}},
         ["design.combine", "design.weights"]),
    ],
)  # fmt: skip
def test_what_nothing_reads_is_named_and_changes_no_key(flags, named) -> None:
    """`train.lr=0.5` with a ridge was accepted without a word, and train and evaluate were computed again for it."""
    given = of(**flags)
    assert list(unread(given)) == named
    without = of(**{name: value for name, value in flags.items() if name.replace("__", ".") not in named})
    assert keys(given) == keys(without)
    assert effective(given) == effective(without)
    assert all(f"`{name}`" in in_words(given) for name in named)
    assert bool(in_words(given)) == bool(named)


@pytest.mark.parametrize(
    "flags",
    [
        {"model__alpha": 2.0},
        {"model__name": "gp", "train__seed": 4},
        {"model__name": "mlp", "train__lr": 0.5},
        {"model__name": "mlp", "trainer__max_steps": 500},
        {"train__target": "rank"},
        {"embedding__name": "esm2_t6_8M_UR50D", "embedding__pooling": "bos"},
        {"design__library": "singles", "design__acquisition": "ucb", "design__beta": 2.0},
        {"design__library": "doubles", "design__best": 9},
        {"design__library": "file", "design__path": ["a.csv", "b.csv"], "design__keep_measured": True},
        {
            "data__properties": ["stability"], "design__library": "singles", "design__combine": "weighted",
            "design__goal": {"DMS_score": "maximize", "stability": "minimize"}, "design__weights": {"stability": 2.0},
        },
    ],
)  # fmt: skip
def test_what_is_read_changes_the_key(flags) -> None:
    plain = of(**{name: value for name, value in flags.items() if name.endswith("__name")})
    assert unread(of(**flags)) == {}
    assert keys(of(**flags)) != keys(plain)


def test_a_design_that_is_not_made_is_named_and_its_flags_stay_for_a_campaign() -> None:
    given = of(design__n=12, design__exclude=["A1C"], design__final="folds", design__best=7)
    assert list(unread(given)) == ["design.exclude", "design.best", "design.n"]
    assert effective(given).design == given.design.model_copy(update={"best": 200})


def test_a_plugins_model_and_representation_read_what_they_like() -> None:
    assert (
        unread(of(model__name="my_model", train__lr=0.5, embedding__name="mine", embedding__pooling="bos"))
        == {}
    )


def test_a_sentence_says_with_what() -> None:
    assert (
        in_words(of(train__lr=0.5))
        == "`train.lr` is read by nothing with ridge: the result is the same without."
    )
    both = in_words(of(train__lr=0.5, embedding__pooling="bos"))
    assert both.startswith("`train.lr`, `embedding.pooling` are read by nothing with ridge on onehot")
    assert in_words(of(design__n=12, design__exclude=["A1C"])) == (
        "`design.exclude`, `design.n` are read only with `design.library`, which is not given: no design is made."
    )
    both = in_words(of(train__lr=0.5, design__library="singles", design__beta=2.0))
    assert both.endswith("without. `design.beta` is read only with `design.acquisition` ucb.")
    assert set(NETWORKS) <= set(READ_BY_MODEL)
