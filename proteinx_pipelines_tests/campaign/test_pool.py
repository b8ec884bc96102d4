"""No flag of `design.*` is ignored by a simulated campaign: it restricts the variants, is the rule's, or is refused."""

import numpy as np
import pytest

from proteinx_pipelines.campaign import pool
from proteinx_pipelines.campaign.landscape import landscape_of
from proteinx_pipelines.campaign.reading import unread_in_words
from proteinx_pipelines.campaign.rule import Protocol, rules_of
from proteinx_pipelines.campaign.simulation import Asked, simulate_on
from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.execution.simulating import simulate
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.scripting import import_file
from proteinx_pipelines.settings import load_settings
from proteinx_pipelines_tests.campaign.conftest import LETTERS, TEMPLATE, additive, flags_of, selection

EVERY = 6**3
GCT = "GCTGCTGCTAAACTTATG"
"""A coding sequence of the template: from GCT, one nucleotide leads to D, G and others, not to C, E, F."""

RESTRICTED = {
    "source": ({"design__source": "TOY"}, EVERY, lambda _: True),
    "library": ({"design__library": "singles"}, 16, lambda name: ":" not in name),
    "exclude": ({"design__exclude": ["A1C", "A2D:A1C"]}, EVERY - 2, lambda name: name not in ("A1C", "A1C:A2D")),
    "positions": ({"design__positions": [1, 2]}, 36, lambda name: "A3" not in name),
    "fixed": ({"design__fixed": [3]}, 36, lambda name: "A3" not in name),
    "allowed": ({"design__allowed": {"1": "CD", "*": "ACDEFG"}}, 3 * 36, lambda name: name[:3] not in
                ("A1E", "A1F", "A1G")),
    "forbidden": ({"design__forbidden": {"*": "C"}}, 5**3, lambda name: "C" not in name),
    "must_have": ({"design__must_have": ["A1C"]}, 36, lambda name: name.startswith("A1C")),
    "must_not": ({"design__must_not": ["A1C"]}, 5 * 36, lambda name: not name.startswith("A1C")),
    "cysteines": ({"design__cysteines": False}, 5**3, lambda name: "C" not in name),
    "max_mutations": ({"design__max_mutations": 2}, EVERY - 5**3, lambda name: name.count(":") < 2),
    "coding_sequence": ({"design__coding_sequence": GCT}, 3**3, lambda name: not set(name) & set("CEF")),
    "codons": ({"design__codons": "NNK", "design__most_clones": 100.0}, None, lambda name: name.count(":") < 1),
    "most_clones": ({"design__codons": "NDT", "design__most_clones": 12.0}, None, lambda name: ":" not in name),
}  # fmt: skip
"""Flag -> flags with it, the size of the pool (None: not counted), and what each variant of it holds."""
REFUSED = {
    "path": {"design.library": "file", "design.path": "x.csv"},
    "keep_measured": {"design.keep_measured": True},
    "best": {"design.best": 7},
    "combine": {"design.combine": "weighted"},
    "weights": {"design.weights": {"DMS_score": 2.0}},
    "final": {"design.final": "folds"},
    "n": {"design.n": 12},
    "controls": {"design.controls": 2},
    "wells_each": {"design.wells_each": 2},
    "plate": {"design.plate": 384},
    "seed": {"design.seed": 3},
}


def test_every_flag_of_a_design_is_in_one_table_and_has_a_case_here() -> None:
    """`design.exclude` was ignored without a word."""
    tables = [*pool.RESTRICTING, *pool.OF_THE_RULE, *pool.NOT_SIMULATED]
    assert sorted(tables) == sorted(DesignFlags.model_fields)
    assert {*RESTRICTED, "exclude_sources"} == set(pool.RESTRICTING)
    assert set(REFUSED) == set(pool.NOT_SIMULATED)


@pytest.mark.parametrize("flag", RESTRICTED)
def test_a_constraint_holds_for_every_variant_of_a_campaign(flag: str) -> None:
    pairs, size, holds = RESTRICTED[flag]
    land = landscape_of(selection(additive), flags_of(**pairs))
    names = land.candidates.mutants()
    assert all(holds(name) for name in names)
    assert size is None or len(names) == size
    assert flag == "source" or 0 < len(names) < EVERY
    assert land.left_out == EVERY - len(names)
    assert land.variants.rows.column("mutant").to_pylist() == names
    assert len(land.target) == len(land.embeddings["own"].tokens) == len(names)
    at = {1: "A", 2: "A", 3: "A"}
    scores = [additive("".join({**at, **places(name)}.values())) for name in names]
    assert land.target.tolist() == pytest.approx(scores)


def places(name: str) -> dict:
    return {int(part[1]): part[-1] for part in name.split(":") if part != "WT"}


def test_combinations_are_those_at_the_positions_and_the_numbering_is_the_users() -> None:
    flags = flags_of(design__library="combinations", design__positions=[11, 12], design__exclude=["A11C"])
    given = selection(additive)
    moved = type(given)(given.rows, given.templates, {}, {"TOY": 10})
    assert set(landscape_of(moved, flags).candidates.mutants(10)) == {
        name for one in ("", *(f"A11{to}" for to in LETTERS[1:])) for two in ("", *(f"A12{to}" for to in LETTERS[1:]))
        if (name := ":".join(filter(None, (one, two))) or "WT") != "A11C"
    }  # fmt: skip
    with pytest.raises(FlagError, match=r"positions 1, 2 are not in TOY"):
        landscape_of(moved, flags_of(design__positions=[1, 2]))


def test_without_a_constraint_nothing_is_left_out_however_many_mutations(toy) -> None:
    assert toy.left_out == 0
    every = parse_flags({"data.source": "TOY", "design.max_mutations": 1}).nested()
    every["design"]["max_mutations"] = 4  # a document of all flags, defaults written out, writes none of them
    assert landscape_of(selection(additive), parse_flags(every)).n == EVERY
    given = selection(additive)
    long = given.rows.column("mutant").to_pylist()
    long[-1] = "A1G:A2G:A3G:K4A:L5A:M6A"
    rows = given.rows.set_column(1, "mutant", [long])
    six = type(given)(rows, given.templates, {})
    assert landscape_of(six, flags_of(design__cysteines=False)).candidates.counts.max() == 6
    assert landscape_of(six, flags_of(design__max_mutations=4)).candidates.counts.max() == 3


@pytest.mark.parametrize("flag", REFUSED)
def test_a_flag_without_a_meaning_in_a_campaign_is_refused_by_name(toy, tmp_path, flag: str) -> None:
    flags = parse_flags({"data.source": "TOY", **REFUSED[flag]})
    with pytest.raises(FlagError, match=rf"`design\.{flag}`: .*\. Leave it out"):
        simulate_on(toy, flags, Asked(10, 1, 5, 1), folder=tmp_path, processes=1)


def test_all_refusals_come_at_once_and_a_number_that_the_plates_have_is_none(toy, tmp_path) -> None:
    flags = parse_flags(
        {"data.source": "TOY", "design.library": "doubles", "design.n": 5, "design.plate": 384}
    )
    with pytest.raises(
        FlagError, match=r"(?s)`design\.plate`.*`design\.library` doubles: .*data\.mut_num"
    ) as refused:
        simulate_on(toy, flags, Asked(10, 1, 7, 1, batches=(5,)), folder=tmp_path, processes=1)
    assert "design.n" not in str(refused.value)
    written = parse_flags({"data.source": "TOY", "design.n": 96, "design.controls": 0})
    with pytest.raises(FlagError, match=r"design\.n.*--batch") as refused:
        pool.refuse_unsimulated(written.design, (48,))
    assert "controls" not in str(refused.value)
    pool.refuse_unsimulated(parse_flags(written.nested()).design, (48,))  # a document of all flags


def test_another_source_and_a_pool_that_is_too_small_are_refused_with_names() -> None:
    with pytest.raises(FlagError, match=r"`design\.source` names other; the campaign is simulated on TOY"):
        landscape_of(selection(additive), flags_of(design__source="other"))
    with pytest.raises(
        EmptySelection, match=r"TOY has 6 measured variants .*`design\.\*` leaves out 210 others"
    ):
        landscape_of(selection(additive), flags_of(design__positions=[1]))
    with pytest.raises(FlagError, match=r"`design\.exclude_sources` names plate; there is no catalog here"):
        landscape_of(selection(additive), flags_of(design__exclude_sources="plate"))
    with pytest.raises(FlagError, match=r"`design\.exclude`: K1C do not fit"):
        landscape_of(selection(additive), flags_of(design__exclude=["K1C"]))


@pytest.mark.parametrize("pairs", [
    {"design.goal": "minimize"}, {"design.acquisition": "thompson"}, {"design.beta": 0.5}, {"design.diversity": 0.7},
    {"design.batching": "clusters"}, {"design.explore": 0.4}, {"design.most_per_position": 3},
])  # fmt: skip
def test_a_flag_of_the_rule_makes_another_rule(toy, pairs: dict) -> None:
    first, other = (rules_of(flags_of(**{name.replace(".", "__"): value for name, value in each.items()}))[0]
                    for each in ({}, pairs))  # fmt: skip
    protocol = Protocol(10, 1, 5)
    assert first.key(toy.digest(), protocol) != other.key(toy.digest(), protocol)
    assert {name.partition(".")[2] for name in pairs} <= set(pool.OF_THE_RULE)


def test_what_another_source_has_measured_is_not_made_in_a_campaign(tmp_path) -> None:
    """Through the catalog, as `proteinx simulate` reads it."""
    rows = selection(additive).rows.to_pydict()
    pairs = list(zip(rows["mutant"], rows["DMS_score"], strict=True))
    for name, kept in (("TOY", pairs), ("plate", pairs[100:140])):
        file = tmp_path / f"{name}.csv"
        file.write_text("\n".join(["mutant,DMS_score", *(f"{mutant},{score}" for mutant, score in kept)]))
        import_file(file, workdir=tmp_path / "w", name=name, template=TEMPLATE)
    settings = load_settings(environment={"PROTEINX_WORKDIR": str(tmp_path / "w")})
    flags = flags_of(
        model__name="ridge", design__exclude_sources="plate", design__exclude=[pairs[0][0], "A1C"]
    )
    found = simulate(settings, flags, Asked(10, 1, 5, 1), processes=1).document()
    without = {name for name, _ in pairs[100:140]} | {pairs[0][0], "A1C"}
    assert found["landscape"]["variants"] == EVERY - len(without)
    assert found["landscape"]["left_out"] == len(without)
    best = max((score, name) for name, score in pairs if name not in without)
    assert found["landscape"]["best"]["mutant"] == best[1]
    assert np.isclose(found["landscape"]["best"]["score"], best[0])


def test_what_is_read_by_nothing_in_a_campaign_is_named() -> None:
    def said(acquisitions: tuple[str, ...] = (), **pairs: object) -> str:
        flags = parse_flags(
            {"data.source": "TOY", **{name.replace("__", "."): v for name, v in pairs.items()}}
        )
        return unread_in_words(flags, Asked(acquisitions=acquisitions))

    assert said(design__positions=[1], design__exclude=["A1C"], design__beta=3.0) == ""
    assert said(model__name="ridge", design__beta=3.0) == (
        "`design.beta` is read only with `design.acquisition` ucb."
    )
    assert said(("greedy", "ucb"), model__name="ridge", design__beta=3.0) == ""
    assert said(train__lr=0.5, split__folds=3).startswith("`train.lr` is read by nothing with gp")
    assert said(split__folds=3) == "`split.folds` has no part in a simulated campaign."
