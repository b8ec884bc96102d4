"""What a design has less of than its flags ask for is said, with the reason; what it has in full is not mentioned."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.pages.report_design import account
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design import choosing, library, shortfalls
from proteinx_pipelines.stages.design.asked_library import Library, make_library
from proteinx_pipelines.stages.design.candidates import candidates_of
from proteinx_pipelines.stages.design.choosing import choose_batch
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.earlier import Predicted
from proteinx_pipelines.stages.design.rules import rules_of

TEMPLATE = "ACDEFG"


def known(names: list[str], template: str = TEMPLATE) -> Measured:
    candidates = candidates_of("s", template, names)
    seen = np.ones((len(template), 256), bool)
    return Measured(candidates, np.arange(float(len(names))), float("nan"), 0.0, 0, seen, 1.0, -1.0)


def made(names: list[str], selection: object = None, template: str = TEMPLATE, **design: object) -> Library:
    flags = parse_flags({"data.source": "s", "design": design}).design
    measured = known(names, template)
    inputs = SimpleNamespace(variants=measured.candidates.table(), excluded=None, selection=selection)
    rules = rules_of(flags, "s", template, 0, np.arange(1, len(template) + 1))
    return make_library(inputs, flags, rules, measured, 0, lambda each: np.arange(each.n, 0.0, -1.0))


def test_recombination_of_fewer_mutations_than_were_allowed_is_said(monkeypatch) -> None:
    """Once, `design.max_mutations` 4 became 2 without a word where the hits had many mutations."""
    names = [f"{letter}{at}{new}" for at, letter in enumerate(TEMPLATE, 1) for new in "KLMNP"]
    asked = {"library": "recombine", "max_mutations": 4}
    monkeypatch.setattr(library, "MOST_CANDIDATES", 500)
    monkeypatch.setattr(shortfalls, "MOST_CANDIDATES", 500)
    found = made(names, **asked)
    assert found.candidates.counts.max() == 2
    assert found.notes == (
        (
            "At most 2 mutations are combined, where `design.max_mutations` allows 4: 30 mutations of the best "
            "measured variants would give more than 500 variants. Lower `design.best` to combine more."
        ),
    )
    monkeypatch.undo()
    whole = made(names, **asked)
    assert (whole.candidates.counts.max(), whole.notes) == (4, ())


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (
            {"library": "recombine"},
            (
                "At most 2 mutations are combined, where `design.max_mutations` allows 4: the best measured variants "
                "change no more positions."
            ),
        ),
        (
            {"library": "recombine", "max_mutations": 2, "best": 50},
            "`design.best` 50: 2 measured variants have mutations, and all are used.",
        ),
        (
            {"library": "doubles", "best": 100, "positions": [1, 2]},
            "`design.best` 100: the flags allow 38 single mutants, and all of them are paired.",
        ),
        (
            {"library": "combinations", "positions": [1, 2, 3], "max_mutations": 2, "allowed": {"*": "KL"}},
            (
                "`design.max_mutations` 2 leaves out the combinations that change more than 2 of the 3 positions. "
                "Raise it to have them."
            ),
        ),
        (
            {"library": "singles", "positions": [1, 2, 3], "fixed": [2], "forbidden": {"3": AMINO_ACIDS}},
            "`design.positions`: the other flags allow no residue at 2, 3; they stay as in the template.",
        ),
    ],
)
def test_a_library_says_what_it_lacks(design, said) -> None:
    assert made(["A1K", "C2L"], **design).notes == (said,)


@pytest.mark.parametrize(
    "design",
    [
        {"library": "singles"},
        {"library": "doubles"},  # its default `best` is what there is, and nobody asked for it
        {"library": "recombine", "max_mutations": 2},
        {"library": "combinations", "positions": [1, 2], "allowed": {"*": "KL"}},
    ],
)
def test_a_library_that_has_all_says_nothing(design) -> None:
    assert made(["A1K", "C2L"], **design).notes == ()


def test_given_variants_that_cannot_be_proposed_are_counted() -> None:
    rows = pa.table(
        {
            "source": ["s"] * 6,
            "mutant": ["A1K", "A1L", "A1M", "A1*", "A1X", "C2L"],
            "DMS_score": pa.array([None, None, None, None, None, 1.0], pa.float64()),
        }
    )
    selection = SimpleNamespace(rows=rows, templates={"s": TEMPLATE})
    found = made(["A1K"], selection, library="unmeasured", must_not=["A1L"])
    assert found.candidates.mutants() == ["A1M"]
    assert found.notes == (
        (
            "2 of 5 rows without a score are left out: a design is substitutions by the twenty residues inside of the "
            "template."
        ),
        "1 of the 3 given variants can be proposed: 1 do not satisfy the flags, 1 are measured or excluded.",
    )


def chosen(monkeypatch, n_clustered: int = 2_000, **design: object) -> list[str]:
    """Notes about a choice among 114 single mutants."""
    monkeypatch.setattr(choosing, "_MOST_CLUSTERED", n_clustered)
    flags = parse_flags({"data.source": "s", "design": {"library": "singles", **design}}).design
    candidates = made(["WT"], library="singles").candidates
    predicted = Predicted(candidates, np.arange(float(candidates.n)), np.ones(candidates.n), 0.0)
    found = choose_batch(predicted, known(["WT"]), SimpleNamespace(), flags)
    return shortfalls.of_choice(flags, len(found.rows), found.looked) + shortfalls.of_exploration(flags)


def test_a_short_plate_is_put_down_to_what_made_it_short(monkeypatch) -> None:
    """Once, every short plate was put down to the library, whatever had limited the choice."""
    rest = (
        "114 of 200 variants: the rest of the library singles is measured, excluded or against the flags. The library "
        "doubles (`design.library`) combines the best single mutants."
    )
    assert chosen(monkeypatch, n=200) == [rest]
    assert chosen(monkeypatch, n=200, batching="clusters") == [rest]
    assert chosen(monkeypatch, n=60, n_clustered=40, batching="clusters") == [
        (
            "40 of 60 variants: `design.batching` clusters looks at the best 40 of 114 candidates. `design.batching` "
            "penalties looks at more."
        )
    ]
    limited = chosen(monkeypatch, n=60, n_clustered=40, batching="clusters", most_per_position=3)
    assert "`design.most_per_position` 3 rules out the rest of them" in limited[0]
    assert chosen(monkeypatch, n=60) == []
    assert chosen(monkeypatch, n=100, explore=0.25) == []


def test_a_share_to_explore_of_less_than_a_variant_is_said(monkeypatch) -> None:
    assert chosen(monkeypatch, n=10, explore=0.04) == [
        "`design.explore` 0.04 of 10 is less than half a variant: none is chosen to explore."
    ]


def test_controls_and_measurements_of_further_sources_are_counted() -> None:
    flags = parse_flags({"data.source": "s", "design": {"library": "singles", "controls": 5}}).design
    some = candidates_of("s", TEMPLATE, ["WT", "A1K"])
    assert shortfalls.of_controls(flags, some) == ["2 of 5 controls: no further variant was measured."]
    assert shortfalls.of_sources([("b", 0), ("c", 3)], "a") == [
        "Measured variants that change residues outside of the template of a are left out: 3 of c."
    ]
    assert shortfalls.of_sources([("b", 0)], "a") == []


def test_the_report_says_it_first() -> None:
    assert next(account({"notes": ["Less than was asked for."], "batch": "penalties"})).startswith(
        "Less than"
    )
