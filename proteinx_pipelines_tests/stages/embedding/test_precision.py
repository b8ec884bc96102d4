"""`embedding.precision` auto: bf16 where it is faster, the same answer every time, and named in what is kept."""

import numpy as np
import pytest

from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding import precision
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.esm2_weights import read_weights
from proteinx_pipelines.stages.embedding.precision import resolved_precision, self_test
from proteinx_pipelines.stages.embedding.sequence_store import SequenceStore

NAME = "esm2_t6_8M_UR50D"


@pytest.fixture
def weights(checkpoint):
    return read_weights(NAME, checkpoint)


@pytest.fixture
def times(monkeypatch):
    """Sets what the self-test will measure, on a processor that multiplies bf16; counts the tests."""
    made = []

    def measured(fp32, bf16):
        monkeypatch.setattr(
            precision, "self_test", lambda _weights: made.append(1) or {"fp32": fp32, "bf16": bf16}
        )
        return made

    monkeypatch.setattr(precision, "multiplies_bf16", lambda: True)
    return measured


@pytest.mark.parametrize(
    ("fp32", "bf16", "expected"),
    [(2.0, 1.0, "bf16"), (1.0, 2.0, "fp32"), (1.0, 1.0, "fp32"), (1.0, 0.95, "fp32")],
)
def test_auto_is_bf16_only_where_it_is_clearly_faster(weights, times, listener, fp32, bf16, expected):
    times(fp32, bf16)
    assert resolved_precision("auto", weights, listener) == expected
    assert listener.events["precision_chosen"] == {
        "precision": expected,
        "seconds": {"fp32": fp32, "bf16": bf16},
    }


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken_without_a_test(weights, times, asked):
    made = times(1.0, 1.0)
    assert resolved_precision(asked, weights, StageMonitor()) == asked
    assert made == []


def test_a_processor_without_bf16_is_not_tested(weights, times, monkeypatch, listener):
    made = times(2.0, 1.0)
    monkeypatch.setattr(precision, "multiplies_bf16", lambda: False)
    assert resolved_precision("auto", weights, listener) == "fp32"
    assert made == []
    assert "does not multiply bf16" in listener.events["precision_chosen"]["reason"]


def test_a_node_tests_once_and_keeps_to_the_outcome(weights, times, tmp_path):
    """A busy moment during a second test would split an experiment's vectors over two formats."""
    times(2.0, 1.0)
    assert resolved_precision("auto", weights, StageMonitor(), tmp_path) == "bf16"
    made = times(1.0, 2.0)
    before = len(made)
    assert resolved_precision("auto", weights, StageMonitor(), tmp_path) == "bf16"
    assert len(made) == before


@pytest.mark.parametrize("content", ["", "{}", '{"seconds": {"fp32": 1}}', "[1]", '{"seconds": null}'])
def test_an_outcome_that_cannot_be_read_is_measured_again(weights, times, tmp_path, content):
    made = times(2.0, 1.0)
    resolved_precision("auto", weights, StageMonitor(), tmp_path)
    (kept,) = tmp_path.glob("*.json")
    kept.write_text(content, encoding="utf-8")
    assert resolved_precision("auto", weights, StageMonitor(), tmp_path) == "bf16"
    assert len(made) == 2


def test_the_self_test_runs_one_layer_in_both_formats(weights, monkeypatch):
    monkeypatch.setattr(precision, "TEST_SECONDS", 0.0)
    engines = []

    class Counted(precision.Esm2Engine):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            engines.append(self)

    monkeypatch.setattr(precision, "Esm2Engine", Counted)
    seconds = self_test(weights)
    assert {name: value > 0 for name, value in seconds.items()} == {"fp32": True, "bf16": True}
    assert [(engine.precision, len(engine._layers)) for engine in engines] == [("fp32", 1), ("bf16", 1)]
    assert [engine.forward_passes for engine in engines] == [2, 2]  # one to warm up, one that counts


def test_info_and_the_stores_policy_name_the_format_that_was_used(checkpoint, variants, times, tmp_path):
    """Otherwise vectors of two formats would be found under one name."""
    times(2.0, 1.0)
    found = {}
    for asked in ("auto", "bf16", "fp32"):
        with SequenceStore(tmp_path / "sequences") as store:
            flags = EmbeddingFlags(name=NAME, precision=asked)
            found[asked] = embed_variants(variants, flags, StageMonitor(), weights=checkpoint, store=store)
        assert store.n_found == (7 if asked == "bf16" else 0)
    assert found["auto"].info == found["bf16"].info
    assert (found["auto"].info["precision"], found["fp32"].info["precision"]) == ("bf16", "fp32")
    np.testing.assert_array_equal(found["auto"].vectors, found["bf16"].vectors)
