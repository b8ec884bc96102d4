"""Hypothesis strategies for flag sets that are valid, built from the flags' own schemas."""

from typing import Any

from hypothesis import strategies as st

from proteinx_pipelines.flags.data import COLUMNS
from proteinx_pipelines.flags.data import NUMBERS as NUMBER_COLUMNS
from proteinx_pipelines.flags.model import MODELS
from proteinx_pipelines.flags.schema import Flag, known_flags
from proteinx_pipelines.flags.split import LEAKAGE_CHECKS

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def conditions(column: str) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on one column, with values that it can be compared with."""
    values = INTEGERS | NUMBERS if column in NUMBER_COLUMNS else INTEGERS | TEXTS
    named, several = st.just(column), st.lists(values, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"column": named, "op": st.sampled_from(["=", "<", ">="]), "value": values}),
        st.fixed_dictionaries({"column": named, "op": st.just("in"), "value": several}),
        st.fixed_dictionaries({"column": named, "op": st.just("is null")}),
    )


CONDITIONS = st.sampled_from(COLUMNS).flatmap(conditions)
BY_HAND: dict[str, st.SearchStrategy[Any]] = {
    "data.where": st.lists(CONDITIONS, max_size=3),
    "data.source": TEXTS | st.lists(TEXTS, min_size=1, max_size=3),
    "data.mut_num": st.fixed_dictionaries({}, optional={"min": st.integers(0, 3), "max": st.integers(3, 9)}),
    "data.dms_score": st.fixed_dictionaries({}, optional={"min": st.floats(-5, 0), "max": st.floats(0, 5)}),
    "transform.clip": st.fixed_dictionaries({}, optional={"min": st.floats(-5, 0), "max": st.floats(0, 5)}),
    "split.fractions": st.sampled_from([None, [0.8, 0.1, 0.1], [1, 0, 0]]),
    "split.allow_leakage": st.lists(
        st.fixed_dictionaries(
            {"check": st.sampled_from(LEAKAGE_CHECKS), "reason": st.just("the file is the published one")}
        ),
        max_size=2,
    ),
    "design.weights": st.just({}),
    "design.codons": st.sampled_from([None, "NNK"]),
    "run.needs": st.fixed_dictionaries({}, optional={"gpu": st.integers(0, 8), "labels": st.just(["a100"])}),
    "run.deadline": st.sampled_from([None, "2026-03-01T18:00:00+00:00"]),
    "embedding.name": st.sampled_from(["onehot", "blosum62", "esm2_t6_8M_UR50D"]),
    "model.name": st.sampled_from(MODELS),
    "model.backbone": st.sampled_from(["esm2_t6_8M_UR50D", "esm2_t12_35M_UR50D"]),
    "train.search_metric": st.just("mse"),
    "train.metrics": st.lists(st.sampled_from(["mse", "ndcg"]), unique=True),
    "train.scheduler": st.sampled_from(["none", "cosine", "linear"]),
    "embedding.also": st.lists(st.sampled_from(["scales", "substitution"]), unique=True),
    "embedding.pooling": st.sampled_from(["mean", "bos", "mutated", "mutated_difference"]),
    "evaluate.metrics": st.lists(st.sampled_from(["spearman", "mse", "ndcg"]), min_size=1, unique=True),
    "design.library": st.sampled_from([None, "singles", "doubles", "recombine", "unmeasured"]),
    "design.coding_sequence": st.sampled_from([None, "ATGGCT"]),
    "design.allowed": st.dictionaries(
        st.sampled_from(["*", "39", "-2"]), st.sampled_from(["ACD", "W"]), max_size=2
    ),
    "design.forbidden": st.dictionaries(
        st.sampled_from(["*", "40"]), st.sampled_from(["C", "MP"]), max_size=2
    ),
    "design.goal": st.sampled_from(["maximize", "minimize", 1.5, [0.25, 2.0]]),
    "trainer.max_time": st.sampled_from([None, "00:01:00:00", {"hours": 2}]),
    "trainer.val_check_interval": st.sampled_from([None, 1, 1.0, 0.25, {"minutes": 5}]),
    "trainer.barebones": st.just(False),  # never works
    "trainer.devices": st.sampled_from([1, "auto", "0,1", [0, 1]]),
}
SKIPPED = (
    "embedding.weights", "embedding.layer", "embedding.path", "embedding.zero_shot", "embedding.window",
    "split.folds", "split.path", "split.column", "split.val_column", "split.repeats", "split.inner_folds",
    "split.allow_unmatched", "design.path", "data.chain", "design.most_clones",
    "split.test_sources", "split.p", "split.held_out", "split.sets",
    "evaluate.train_fractions", "train.accumulate", "train.search", "model.tasks",
    "transform.bins",
)  # fmt: skip
"""Flags that are valid only beside certain others; tested by themselves."""


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a flag's schema allows."""
    if "anyOf" in schema:
        return st.one_of([values(branch) for branch in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from([schema["const"]] if "const" in schema else schema["enum"])
    kind = schema["type"]
    least, most = schema.get("minimum"), schema.get("maximum")
    if kind == "integer":
        upper = schema.get("exclusiveMaximum", 2**40) - 1
        return st.integers(0 if least is None else least, upper if most is None else most).filter(
            lambda value: value != 0 or "not" not in schema
        )
    if kind == "number":
        return st.floats(
            schema.get("exclusiveMinimum", least), schema.get("exclusiveMaximum", most), allow_nan=False,
            allow_infinity=False, exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema,
        )  # fmt: skip
    if kind == "array":
        return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
    return {"boolean": st.booleans(), "null": st.none(), "string": TEXTS}[kind]


def flag_values(flag: Flag) -> st.SearchStrategy[Any]:
    """Values of one flag."""
    return BY_HAND[flag.dotted] if flag.dotted in BY_HAND else values(flag.schema)


@st.composite
def dotted_documents(draw: st.DrawFn) -> dict[str, Any]:
    """Valid flag sets by dotted names, any of the flags given or left out."""
    candidates = [
        flag for flag in known_flags() if flag.dotted not in (*SKIPPED, "split.method", "data.source")
    ]
    document = {"data.source": draw(BY_HAND["data.source"])}
    for flag in draw(st.lists(st.sampled_from(candidates), unique_by=lambda flag: flag.dotted, max_size=12)):
        document[flag.dotted] = draw(flag_values(flag))
    if draw(st.booleans()):
        document["ext"] = draw(st.dictionaries(TEXTS, JSON, max_size=3))
    return document
