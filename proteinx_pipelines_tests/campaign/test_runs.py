"""Simulations that are stopped go on; numbers of a summary against independent ones."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from scipy import stats

from proteinx_pipelines.campaign import runs
from proteinx_pipelines.campaign.rule import Protocol, rules_of
from proteinx_pipelines.campaign.runs import Task, run_all
from proteinx_pipelines.campaign.simulation import Asked, simulate_on
from proteinx_pipelines.campaign.summary import curve, differences, exact_random
from proteinx_pipelines.cli.simulate import print_simulation
from proteinx_pipelines.pages.simulation import ONE_SEED, simulation_page
from proteinx_pipelines.resampling.shares import wilson
from proteinx_pipelines_tests.campaign.conftest import flags_of

SMALL = Protocol(start=20, rounds=2, batch=10)


def tasks() -> list[Task]:
    return [Task(rule, SMALL) for rule in rules_of(flags_of())[1:]]  # greedy, additive, random


def test_a_simulation_that_was_killed_goes_on_and_ends_the_same(toy, tmp_path, monkeypatch):
    whole = run_all(toy, tasks(), range(3), folder=tmp_path / "whole", processes=1)
    run, left = runs.run_campaign, [4]

    def dies(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return run(*arguments)

    monkeypatch.setattr(runs, "run_campaign", dies)
    with pytest.raises(KeyboardInterrupt):
        run_all(toy, tasks(), range(3), folder=tmp_path / "w", processes=1)
    kept = sorted((tmp_path / "w").rglob("*.json"))
    assert len(kept) == 4
    kept[0].write_text("{")  # half of what a crash left counts as none
    ran = []
    monkeypatch.setattr(runs, "run_campaign", lambda *a: ran.append(a[-1]) or run(*a))
    found = run_all(toy, tasks(), range(3), folder=tmp_path / "w", processes=1)
    assert len(ran) == 9 - 3
    for one, other in zip(whole, found, strict=True):
        assert [c.best for c in one.campaigns] == [c.best for c in other.campaigns]


def test_more_seeds_compute_only_the_new_ones_and_another_rule_none_of_the_old(toy, tmp_path):
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    run_all(toy, tasks(), range(2), folder=tmp_path, processes=1)
    run_all(toy, tasks(), range(3), folder=tmp_path, processes=1, progress=progress)
    assert seen == [(6, 9), (7, 9), (8, 9), (9, 9)]
    seen.clear()
    other = [Task(rule, Protocol(20, 2, 11)) for rule in rules_of(flags_of())[1:]]
    run_all(toy, other, range(1), folder=tmp_path, processes=1, progress=progress)
    assert seen[0] == (0, 3)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(toy, tmp_path):
    one = run_all(toy, tasks(), range(3), folder=tmp_path / "one", processes=1)
    two = run_all(toy, tasks(), range(3), folder=tmp_path / "two", processes=2)
    assert [[c.best for c in ran.campaigns] for ran in one] == [
        [c.best for c in ran.campaigns] for ran in two
    ]


@pytest.mark.slow
def test_a_killed_simulation_leaves_no_process_behind(tmp_path):
    """Two workers of a benchmark that was killed stayed for an hour."""
    code = (
        "from pathlib import Path\n"
        "from proteinx_pipelines.campaign.landscape import landscape_of\n"
        "from proteinx_pipelines.campaign.rule import Protocol, rules_of\n"
        "from proteinx_pipelines.campaign.runs import Task, run_all\n"
        "from proteinx_pipelines_tests.campaign.conftest import additive, flags_of, selection\n"
        "if __name__ == '__main__':\n"
        "    land = landscape_of(selection(additive), flags_of())\n"
        "    tasks = [Task(rule, Protocol(20, 9, 10)) for rule in rules_of(flags_of())]\n"
        f"    run_all(land, tasks, range(500), folder=Path({str(tmp_path)!r}), processes=2)\n"
    )
    file = tmp_path / "simulates.py"
    file.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent, children = subprocess.Popen([sys.executable, str(file)], env=environment), []
    try:
        end = time.monotonic() + 120
        while not list(tmp_path.rglob("*.json")) and parent.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
        children = psutil.Process(parent.pid).children(recursive=True)
    finally:
        parent.kill()
        parent.wait()
    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=60)
    for process in alive:
        process.kill()
    assert alive == []


def test_the_summary_agrees_with_scipy(toy, tmp_path):
    ran = run_all(toy, tasks(), range(6), folder=tmp_path, processes=1)
    ends = [toy.fraction(np.array([campaign.best[-1] for campaign in each.campaigns])) for each in ran]
    found = curve(toy, ran[2])
    interval = stats.t.interval(0.95, 5, ends[2].mean(), stats.sem(ends[2]))
    assert (found.points[-1].low, found.points[-1].high) == pytest.approx(np.clip(interval, 0, 1))
    apart = differences(toy, ran)[1]
    paired = stats.ttest_rel(ends[0], ends[2])
    assert (apart.low, apart.high) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    u = stats.mannwhitneyu(ends[0], ends[2]).statistic
    assert apart.single == pytest.approx(u / 36)
    assert wilson(7, 10) == pytest.approx(tuple(stats.binomtest(7, 10).proportion_ci(method="wilson")))


def test_chance_is_computed_exactly(toy):
    rng = np.random.default_rng(0)
    value = toy.fraction(toy.utility)
    drawn = [value[rng.choice(toy.n, 12, replace=False)].max() for _ in range(20_000)]
    assert exact_random(toy, 12) == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / 20_000**0.5)
    assert exact_random(toy, toy.n) == pytest.approx(1.0)
    assert exact_random(toy, 1) == pytest.approx(value.mean())


def test_the_document_has_a_rule_a_batch_and_a_difference_for_each(toy, tmp_path):
    asked = Asked(20, 2, 12, seeds=3, acquisitions=("greedy", "ucb"), batches=(6,))
    found = simulate_on(toy, flags_of(), asked, folder=tmp_path, processes=1).document()
    assert [(rule["name"], rule["batch"], rule["rounds"]) for rule in found["rules"]] == [
        ("greedy", 12, 2), ("greedy", 6, 4), ("ucb", 12, 2), ("additive", 12, 2), ("random", 12, 2)
    ]  # fmt: skip
    assert len(found["differences"]) == 4
    assert [point["measured"] for point in found["rules"][1]["curve"]] == [20, 26, 32, 38, 44]
    assert all(len(rule["ends"]) == 3 for rule in found["rules"])
    assert found["random_exact"][0] == pytest.approx(exact_random(toy, 20))


def test_one_seed_has_no_interval_and_says_so(toy, tmp_path, capsys):
    """Once, the table said `nan to nan`, and the document had NaN, which is no JSON."""
    flags = flags_of(model__name="ridge")
    found = simulate_on(toy, flags, Asked(20, 1, 10, seeds=1), folder=tmp_path, processes=1)
    document = found.document()
    json.dumps(document, allow_nan=False)
    first, apart = document["rules"][0], document["differences"][0]
    assert [first["curve"][-1][name] for name in ("se", "low", "high")] == [None] * 3
    assert [first["final"]["se"], first["final"]["deviation"], apart["low"], apart["high"]] == [None] * 4
    print_simulation(found)
    for text in (capsys.readouterr().out, simulation_page(document)):
        assert ONE_SEED in text
        assert not re.search(r"\bnan\b", text)
