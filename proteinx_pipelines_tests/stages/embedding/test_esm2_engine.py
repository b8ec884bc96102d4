import numpy as np
import pytest

from proteinx_pipelines.stages.embedding.esm2_weights import read_weights


@pytest.fixture
def engine(checkpoint):
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine

    weights = read_weights("esm2_t6_8M_UR50D", checkpoint)
    return lambda **options: Esm2Engine(
        weights, **{"layer": 6, "pooling": "mean", "precision": "fp32"} | options
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_rotary_angles_are_those_of_double_precision(engine, precision):
    """A model turned to bf16 as a whole rounds its angles to a quarter of a radian behind position 32."""
    turns = engine(precision=precision, layer=1)._rotary_turns(1000)[0].squeeze(1).numpy()
    frequencies = 10000.0 ** (-np.arange(0, 16, 2) / 16)
    expected = np.exp(1j * np.outer(np.arange(1000), frequencies))
    assert np.abs(turns - expected).max() < 1e-4


def test_rotary_tables_follow_the_length(engine):
    """One engine, many lengths: a table kept for one must not serve another."""
    model = engine(layer=2)
    rng = np.random.default_rng(0)
    letters = [rng.choice(np.frombuffer(b"ACDEF", np.uint8), (2, length)) for length in (5, 30, 9, 30)]
    mixed = [model.embed(part) for part in letters]
    fresh = [engine(layer=2).embed(part) for part in letters]
    for found, expected in zip(mixed, fresh, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_only_the_layers_that_are_wanted_are_prepared(engine):
    assert len(engine(layer=2)._layers) == 2
    assert engine(layer=2)._final_norm is None
    assert engine(layer=6)._final_norm is not None


def test_the_last_layer_is_prepared_once_for_all_scores(engine, monkeypatch):
    """Every batch of masked positions prepared the whole model anew, where vectors are of another layer."""
    from proteinx_pipelines.stages.embedding.esm2_engine import Esm2Engine

    model, prepare, prepared = engine(layer=2), Esm2Engine._prepared, []

    def watched(self, weights, index, typical_tokens):
        prepared.append(index)
        return prepare(self, weights, index, typical_tokens)

    monkeypatch.setattr(Esm2Engine, "_prepared", watched)
    letters = np.frombuffer(b"ACDEFG", np.uint8).reshape(1, 6)
    scores = [model.residue_log_odds(letters, np.array([at])) for at in (0, 1, 0)]
    assert prepared == list(range(6))
    np.testing.assert_array_equal(scores[0], scores[2])
    np.testing.assert_array_equal(scores[0], engine(layer=6).residue_log_odds(letters, np.array([0])))


def test_work_is_counted(engine):
    model = engine(layer=0)
    letters = np.frombuffer(b"ACDEFG", np.uint8).reshape(3, 2)
    model.embed(letters)
    model.embed(letters[:1])
    assert (model.forward_passes, model.sequences_embedded) == (2, 4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_pass_computes_nothing_that_a_vector_does_not_need(engine, precision):
    """Four products for each layer up to the wanted one; no head, no attention map; vectors leave, states stay."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.calls = []

        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            result = operator(*args, **(kwargs or {}))
            self.calls.append((str(operator), tuple(getattr(result, "shape", ()))))
            return result

    model = engine(layer=3, precision=precision)
    letters = np.frombuffer(b"ACDEFGHIKLMNP" * 5, np.uint8).reshape(5, 13)
    with Watch() as watch:
        model.embed(letters)
    names = [name for name, _ in watch.calls]
    shapes = [shape for _, shape in watch.calls]
    assert sum("linear" in name or "addmm" in name for name in names) == 4 * 3
    assert sum("scaled_dot_product" in name for name in names) == 3
    assert not any(shape[-2:] == (15, 15) for shape in shapes)  # an attention map
    assert not any(shape[-1:] == (33,) for shape in shapes)  # logits
    rows = [shape[0] * shape[1] for shape in shapes if len(shape) == 3 and shape[-1] in (320, 960, 1280)]
    assert set(rows) <= {5 * 15, 5 * 13}  # residues, BOS and EOS, and no padding
    assert shapes[-1] == (5, 320)  # pooled before it leaves the device
