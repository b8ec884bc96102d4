"""One campaign: what it may see, what it chooses, what it repeats."""

from dataclasses import replace

import numpy as np
import pytest

from proteinx_pipelines.campaign import engine
from proteinx_pipelines.campaign.defaults import for_positions, with_defaults
from proteinx_pipelines.campaign.engine import run_campaign, started
from proteinx_pipelines.campaign.landscape import landscape_of
from proteinx_pipelines.campaign.rule import ADDITIVE, GREEDY, RANDOM, Protocol, check_protocol, rules_of
from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines_tests.campaign.conftest import additive, flags_of, selection

SMALL = Protocol(start=20, rounds=2, batch=10)


def rule(name: str, **pairs: object):
    return next(each for each in rules_of(flags_of(**pairs)) if each.name == name)


def test_the_additive_baseline_finds_the_best_of_an_additive_landscape(toy):
    found = run_campaign(toy, rule(ADDITIVE), SMALL, seed=0)
    assert found.found_maximum
    assert found.best[-1] == toy.utility.max()
    assert list(found.best) == sorted(found.best)


def test_a_seed_gives_the_same_campaign_and_all_rules_begin_alike(toy):
    one, again = (run_campaign(toy, rule("ucb"), SMALL, seed=3) for _ in range(2))
    assert replace(one, cpu_seconds=0) == replace(again, cpu_seconds=0)
    assert {run_campaign(toy, rule(name), SMALL, seed=3).best[0] for name in (GREEDY, ADDITIVE, RANDOM)} == {
        one.best[0]
    }


def test_no_variant_is_measured_twice(toy, monkeypatch):
    """Every plate is new: a whole landscape is measured in exactly as many plates as it has."""
    protocol, seen = Protocol(16, 4, 50), []
    chosen = engine._chosen

    def watched(*arguments, **named):
        found = chosen(*arguments, **named)
        seen.append(found)
        return found

    monkeypatch.setattr(engine, "_chosen", watched)
    found = run_campaign(toy, rule("ucb"), protocol, seed=1)
    start = np.flatnonzero(started(toy, protocol, 1))
    assert sorted(np.concatenate([start, *seen])) == list(range(toy.n))
    assert found.found_maximum


def test_scores_of_variants_that_are_not_measured_are_never_seen(toy):
    """Another landscape, equal where the first plate is drawn: the first choice is the same."""
    protocol = Protocol(20, 1, 10)
    measured = started(toy, protocol, 0)
    other = np.where(measured, toy.target, -toy.target + 7)
    twisted = replace(toy, target=other, utility=other)
    may = ~measured
    for name in ("ucb", GREEDY, ADDITIVE):
        picks = [engine._chosen(land, rule(name), protocol, measured, may, (0, 1)) for land in (toy, twisted)]
        assert picks[0].tolist() == picks[1].tolist(), name
    hidden = engine._hidden(toy, measured).rows
    for column in ("target", "DMS_score"):
        assert np.isnan(hidden.column(column).to_numpy()[~measured]).all()


def test_variants_that_cannot_be_chosen_are_left_out_and_the_choice_is_the_same(toy, monkeypatch):
    protocol = Protocol(30, 1, 8)
    measured = started(toy, protocol, 2)
    looked = []
    possible = engine._possible

    def watched(*arguments):
        found = possible(*arguments)
        looked.append(len(found[0]))
        return found

    def choice():
        return engine._chosen(toy, rule("ucb"), protocol, measured, ~measured, (2, 1)).tolist()

    monkeypatch.setattr(engine, "_possible", watched)
    pruned = choice()
    monkeypatch.setattr(
        engine, "_possible", lambda fitted, embedding, left, _: (left, fitted.predict(embedding, left))
    )
    assert pruned == choice()
    assert 8 <= looked[0] < 186


def test_a_campaign_from_singles_chooses_multiple_mutants_only(toy, monkeypatch):
    protocol, seen = Protocol(10, 2, 10, "singles"), []
    chosen = engine._chosen
    monkeypatch.setattr(engine, "_chosen", lambda *a: seen.append(chosen(*a)) or seen[-1])
    run_campaign(toy, rule("ucb"), protocol, seed=0)
    assert (toy.candidates.counts[np.concatenate(seen)] > 1).all()
    assert (toy.candidates.counts[started(toy, protocol, 0)] <= 1).all()


def test_minimising_finds_the_lowest():
    flags = flags_of(design__goal="minimize")
    landscape = landscape_of(selection(additive), flags)
    found = run_campaign(landscape, rule(ADDITIVE, design__goal="minimize"), SMALL, seed=0)
    assert found.best[-1] == -landscape.target.min()
    assert landscape.fraction(np.array([found.best[-1]]))[0] == 1.0


def test_an_acquisition_that_needs_deviations_names_the_model_that_has_none(toy):
    flags = flags_of(model__name="ridge", design__acquisition="ei")
    with pytest.raises(FlagError, match=r"'ei' needs the deviation .* 'ridge' has none. Choose greedy"):
        run_campaign(toy, rules_of(flags)[0], SMALL, seed=0)


def test_a_landscape_that_is_too_small_is_refused_with_its_numbers():
    with pytest.raises(FlagError, match=r"measure 480 variants, the landscape has 216"):
        check_protocol(Protocol(96, 4, 96), 216, 16)
    with pytest.raises(FlagError, match="216") as both:
        check_protocol(Protocol(96, 4, 96, "singles"), 216, 16)
    assert "has 16 single mutants" in str(both.value)
    few = selection(additive)
    with pytest.raises(EmptySelection, match="at least 8"):
        landscape_of(replace(few, rows=few.rows.slice(0, 5)), flags_of())


def test_an_explored_share_needs_deviations_whatever_the_acquisition_and_baselines_explore_nothing(toy):
    """With `greedy`, deviations were taken as 0 and the share was chosen by them: any variants."""
    flags = flags_of(model__name="ridge", design__explore=0.5)
    with pytest.raises(FlagError, match=r"`design.explore` 0.5 chooses by the deviation .* 'ridge' has none"):
        run_campaign(toy, rules_of(flags)[0], SMALL, seed=0)
    explored = rules_of(flags_of(design__explore=0.5, design__batching="liar"), ("greedy", "ucb"))
    assert [(each.name, each.flags and each.flags.design.explore) for each in explored] == [
        ("greedy", 0.5), ("ucb", 0.5), (ADDITIVE, 0.0), (RANDOM, None),
    ]  # fmt: skip
    protocol, measured = Protocol(20, 1, 10), started(toy, Protocol(20, 1, 10), 0)
    plain = rules_of(flags_of(), ("greedy",))[0]
    picks = [
        engine._chosen(toy, each, protocol, measured, ~measured, (0, 1)) for each in (explored[0], plain)
    ]
    assert len(set(picks[0])) == 10
    assert set(picks[0]) != set(picks[1])


def test_what_was_written_is_kept_and_the_rest_is_the_campaigns_default():
    default = with_defaults(parse_flags({"data.source": "x"}))
    assert (default.model.name, default.design.acquisition, default.design.beta) == ("gp", "ucb", 2.0)
    written = with_defaults(
        parse_flags({"data.source": "x", "design.acquisition": "greedy", "design.beta": 1})
    )
    assert (written.model.name, written.design.acquisition, written.design.beta) == ("gp", "greedy", 1.0)
    ridge = with_defaults(parse_flags({"data.source": "x", "model.name": "ridge"}))
    assert (ridge.model.name, ridge.model.kernel, ridge.design.acquisition) == ("ridge", None, "greedy")


def test_the_kernel_follows_the_number_of_positions_unless_it_was_written():
    def kernel(n_positions: int, **flags: object) -> str | None:
        return for_positions(flags_of(**flags), n_positions, begins_with_singles=False).model.kernel

    assert kernel(4) == "sites"
    assert kernel(40) is None
    assert kernel(4, model__kernel="mutation") == "mutation"
    assert kernel(4, model__name="ridge") is None


def test_a_campaign_that_begins_with_single_mutants_does_not_compare_whole_combinations():
    """On GB1's four sites `sites` stayed at 0.66 of the best after two plates; `mutation` found it."""
    assert for_positions(flags_of(), 4, begins_with_singles=True).model.kernel is None
