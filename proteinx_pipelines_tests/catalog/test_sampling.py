"""The draw belongs to the rows: their order, and rows that are added, do not change who is drawn."""

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.catalog.sampling import draw_rows, row_numbers

N = 5000
RANDOM = np.random.default_rng(0)
ROWS = pa.table(
    {
        "source": [f"s{n % 3}" for n in range(N)],
        "mutant": [f"A{n}C:D{n + 1}G" if n % 2 else f"A{n}C" for n in range(N)],
        "DMS_score": pa.array([None if n % 10 == 0 else n / 7 for n in range(N)], pa.float64()),
    }
)


def drawn(table, n_rows, seed):
    return set(draw_rows(table, n_rows, seed).column("mutant").to_pylist())


def test_as_many_rows_as_asked_are_drawn_in_their_order():
    found = draw_rows(ROWS, 700, seed=1)
    assert found.num_rows == 700
    order = {mutant: n for n, mutant in enumerate(ROWS.column("mutant").to_pylist())}
    places = [order[mutant] for mutant in found.column("mutant").to_pylist()]
    assert places == sorted(places)
    assert draw_rows(ROWS, N, seed=1).equals(ROWS)


def test_the_order_of_the_rows_does_not_change_the_draw():
    shuffled = ROWS.take(RANDOM.permutation(N))
    chunked = pa.concat_tables([shuffled.slice(0, 1234), shuffled.slice(1234)])
    assert drawn(chunked, 300, seed=5) == drawn(ROWS, 300, seed=5)


def test_a_chunk_boundary_does_not_change_the_numbers(monkeypatch):
    whole = row_numbers(ROWS, seed=3)
    monkeypatch.setattr("proteinx_pipelines.catalog.sampling._CHUNK_ROWS", 77)
    assert np.array_equal(row_numbers(ROWS, seed=3), whole)


def test_a_grown_table_keeps_most_of_the_draw():
    before = drawn(ROWS.slice(0, 4500), 450, seed=2)
    after = drawn(ROWS, 450, seed=2)
    assert 0.8 < len(before & after) / 450 < 1


def test_another_seed_is_an_independent_draw():
    shared = len(drawn(ROWS, 500, seed=1) & drawn(ROWS, 500, seed=2))
    assert 20 < shared < 80  # hypergeometric: mean 50, standard deviation 6.4


def test_every_row_is_drawn_equally_often():
    times = np.zeros(N)
    for seed in range(200):
        times[np.argsort(row_numbers(ROWS, seed))[:500]] += 1
    assert abs(times.mean() - 20) < 1e-9
    assert times.var() == pytest.approx(200 * 0.1 * 0.9, rel=0.1)  # binomial
    assert abs(np.corrcoef(times, np.arange(N))[0, 1]) < 0.06


def test_replicates_are_told_apart_by_their_scores():
    table = pa.table({"source": ["s"] * 100, "mutant": ["A1C"] * 100, "DMS_score": np.arange(100.0)})
    assert len(set(row_numbers(table, seed=0).tolist())) == 100


def test_numbers_do_not_change_between_versions():
    """A changed number would draw other rows for every experiment that has a limit."""
    table = pa.table({"source": ["GB1"], "mutant": ["V39I"], "DMS_score": [0.5]})
    assert row_numbers(table, seed=0).tolist() == [12795709569616049914]
