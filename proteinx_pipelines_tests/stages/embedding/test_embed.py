"""The whole stage against fair-esm's own forward pass."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.errors import BadVariants, Cancelled
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding import stream
from proteinx_pipelines.stages.embedding.embed import EMBEDDING_VERSION, embed_variants

REAL_WEIGHTS = Path(__file__).parents[3] / "../shared/data/weights/esm2_t6_8M_finetuned.pt"


def esm_flags(**flags):
    return EmbeddingFlags(name="esm2_t6_8M_UR50D", **flags)


def relative_error(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


POOLINGS = ("mean", "bos", "mutated", "mutated_difference", "per_residue")


def fair_esm_states(model, sequence, layer):
    """fair-esm's own states of one sequence, float32 [L + 2, D]; of several layers side by side."""
    import torch

    _, _, tokens = model.alphabet.get_batch_converter()([("x", sequence)])
    layers = [layer] if isinstance(layer, int) else layer
    with torch.no_grad():
        states = model(tokens, repr_layers=list(layers))["representations"]
    return np.hstack([states[each][0].numpy() for each in layers])


def fair_esm_vectors(model, variants, layer, pooling):
    vectors, longest = [], max(map(len, variants.templates.values()))
    for source, sequence in zip(variants.column("source"), variants.column("sequence"), strict=True):
        states = fair_esm_states(model, sequence, layer)
        template = variants.templates[source]
        sites = [i + 1 for i in range(len(sequence)) if sequence[i] != template[i]]
        sites = sites or list(range(1, len(sequence) + 1))
        if pooling == "per_residue":
            padded = np.zeros((longest, states.shape[1]), np.float32)
            padded[: len(sequence)] = states[1:-1]
            vectors.append(padded.reshape(-1))
            continue
        rows = {"mean": slice(1, -1), "bos": slice(0, 1)}.get(pooling, sites)
        vector = states[rows].mean(axis=0)
        if pooling == "mutated_difference":
            vector = vector - fair_esm_states(model, template, layer)[sites].mean(axis=0)
        vectors.append(vector)
    return np.stack(vectors)


@pytest.mark.parametrize("layer", [0, 1, 4, 6, None, (6, 0, 3), (0, 2)])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_equal_fair_esms(fair_model, checkpoint, variants, layer, pooling):
    found = embed_variants(
        variants, esm_flags(layer=layer, pooling=pooling), StageMonitor(), weights=checkpoint
    )
    expected = fair_esm_vectors(fair_model, variants, 6 if layer is None else layer, pooling)
    assert found.vectors.dtype == np.float32
    assert found.ids.equals(variants.rows.column("id").combine_chunks())
    assert relative_error(found.vectors, expected) < (1e-5 if pooling != "mutated_difference" else 1e-4)
    n_layers = len(layer) if isinstance(layer, tuple) else 1
    assert found.residue_width == (320 * n_layers if pooling == "per_residue" else None)


@pytest.mark.data
def test_vectors_of_real_weights_equal_fair_esms(variants):
    if not REAL_WEIGHTS.is_file():
        pytest.skip(f"no real ESM-2 weights at {REAL_WEIGHTS}")
    import torch
    from esm.model.esm2 import ESM2

    from proteinx_pipelines.stages.embedding.esm2_weights import read_weights

    model = ESM2(num_layers=6, embed_dim=320, attention_heads=20, alphabet="ESM-1b").eval()
    tensors = dict(read_weights("esm2_t6_8M_UR50D", REAL_WEIGHTS).tensors)
    assert not model.load_state_dict(tensors, strict=False).unexpected_keys
    for pooling in POOLINGS:
        found = embed_variants(variants, esm_flags(pooling=pooling), StageMonitor(), weights=REAL_WEIGHTS)
        with torch.no_grad():
            expected = fair_esm_vectors(model, variants, 6, pooling)
        # A difference of two states is as exact as they are: to 1e-5 of their size, not of its own.
        scale = np.abs(fair_esm_vectors(model, variants, 6, "per_residue")).max()
        assert np.abs(found.vectors - expected).max() / scale < 1e-5, pooling


def test_several_layers_take_one_pass(checkpoint, variants, listener):
    embed_variants(variants, esm_flags(layer=[1, 3, 6]), listener, weights=checkpoint)
    one = listener.events["embedding_finished"]["forward_passes"]
    embed_variants(variants, esm_flags(), listener, weights=checkpoint)
    assert one == listener.events["embedding_finished"]["forward_passes"]


def test_columns_are_those_of_residues_only_while_nothing_else_stands_beside(checkpoint, variants):
    flags = {"pooling": "per_residue", "zero_shot": "wild_type_marginals"}
    scored = embed_variants(variants, esm_flags(**flags), StageMonitor(), weights=checkpoint)
    assert scored.width == 24 * 320 + 1
    also = embed_variants(
        variants, esm_flags(pooling="per_residue", also=["substitution"]), StageMonitor(), weights=checkpoint
    )
    assert also.width == 24 * 320 + 99
    assert scored.residue_width is None
    assert also.residue_width is None
    assert [part["width"] for part in also.info["parts"]] == [24 * 320, 99]


def test_residues_of_a_window_have_no_columns_of_their_own(checkpoint, variants):
    whole = type(variants)(rows=variants.rows.take([0, 1, 2]), templates=variants.templates)
    with pytest.raises(BadVariants, match="per_residue needs whole sequences, and 2 are longer"):
        embed_variants(whole, esm_flags(pooling="per_residue", window=20), StageMonitor(), weights=checkpoint)


def test_states_that_fit_no_disk_are_refused_with_their_size(checkpoint, variants, monkeypatch):
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(BadVariants, match=r"8 variants of 24 residues with 320 numbers each are 0 GB"):
        embed_variants(variants, esm_flags(pooling="per_residue"), StageMonitor(), weights=checkpoint)


def test_a_checkpoint_trained_without_token_dropout_is_not_scaled(
    fair_model, tmp_path, variants, write_checkpoint
):
    path = write_checkpoint(tmp_path / "plain.pt", fair_model.state_dict(), token_dropout=False)
    found = embed_variants(variants, esm_flags(layer=0), StageMonitor(), weights=path).vectors
    scaled = fair_esm_vectors(fair_model, variants, 0, "mean")
    assert relative_error(found * 0.88, scaled) < 1e-6


def test_bf16_is_close_to_fp32_and_not_equal(checkpoint, variants):
    exact = embed_variants(variants, esm_flags(), StageMonitor(), weights=checkpoint).vectors
    rounded = embed_variants(
        variants, esm_flags(precision="bf16"), StageMonitor(), weights=checkpoint
    ).vectors
    assert rounded.dtype == np.float32
    assert 1e-6 < relative_error(rounded, exact) < 2e-2


def test_no_row_depends_on_the_batch_it_was_in(checkpoint, variants):
    alone = embed_variants(variants, esm_flags(tokens_per_batch=1), StageMonitor(), weights=checkpoint)
    together = embed_variants(
        variants, esm_flags(tokens_per_batch=100_000), StageMonitor(), weights=checkpoint
    )
    backwards = variants.rows.take(pa.array(range(7, -1, -1)))
    reordered = type(variants)(rows=backwards, templates=variants.templates)
    turned = embed_variants(reordered, esm_flags(tokens_per_batch=60), StageMonitor(), weights=checkpoint)
    assert relative_error(alone.vectors, together.vectors) < 1e-5
    assert relative_error(turned.vectors[::-1], together.vectors) < 1e-5


def test_the_same_inputs_give_the_same_bytes(checkpoint, variants):
    for flags in (esm_flags(), esm_flags(precision="bf16", pooling="mutated")):
        first = embed_variants(variants, flags, StageMonitor(), weights=checkpoint)
        second = embed_variants(variants, flags, StageMonitor(), weights=checkpoint)
        assert first.vectors.tobytes() == second.vectors.tobytes()
        assert first.info == second.info


def test_equal_sequences_are_embedded_once(checkpoint, variants, listener):
    found = embed_variants(variants, esm_flags(), listener, weights=checkpoint)
    finished = listener.events["embedding_finished"]
    assert finished["sequences"] == 7
    assert finished["forward_passes"] == 2  # one for each length
    np.testing.assert_array_equal(found.vectors[6], found.vectors[5])


def test_info_names_everything_a_vector_depends_on(checkpoint, variants):
    info = embed_variants(variants, esm_flags(pooling="bos"), StageMonitor(), weights=checkpoint).info
    assert info == {
        "name": "esm2_t6_8M_UR50D",
        "version": EMBEDDING_VERSION,
        "layer": 6,
        "pooling": "bos",
        "precision": "fp32",
        "weights_sha256": file_sha256(checkpoint),
        "width": 320,
    }


def test_the_path_in_the_flags_is_used_when_no_other_is_given(checkpoint, variants):
    named = embed_variants(variants, esm_flags(weights=str(checkpoint), layer=0), StageMonitor())
    given = embed_variants(variants, esm_flags(layer=0), StageMonitor(), weights=checkpoint)
    np.testing.assert_array_equal(named.vectors, given.vectors)


def test_progress_counts_sequences_and_ends_at_all_of_them(checkpoint, variants, listener):
    embed_variants(variants, esm_flags(tokens_per_batch=60), listener, weights=checkpoint)
    done = [step[0] for step in listener.steps]
    assert done == sorted(done)
    assert done[-1] == 7
    assert {step[1] for step in listener.steps} == {7}
    assert "sequences/s, 0 s left" in listener.steps[-1][2]


def test_a_cancelled_experiment_stops_between_batches(checkpoint, variants):
    class Impatient(StageMonitor):
        calls = 0

        def progress(self, done, total, note=""):
            self.calls += 1
            raise Cancelled("stop")

    monitor = Impatient()
    with pytest.raises(Cancelled):
        embed_variants(variants, esm_flags(tokens_per_batch=1), monitor, weights=checkpoint)
    assert monitor.calls == 1


def test_a_matrix_too_large_for_memory_lies_in_a_file(checkpoint, variants, monkeypatch):
    in_memory = embed_variants(variants, esm_flags(), StageMonitor(), weights=checkpoint).vectors
    monkeypatch.setattr(stream, "MAX_BYTES_IN_MEMORY", 0)
    on_disk = embed_variants(variants, esm_flags(), StageMonitor(), weights=checkpoint).vectors
    assert isinstance(on_disk, np.memmap)
    np.testing.assert_array_equal(on_disk, in_memory)


def test_onehot_gives_tokens_and_no_vectors(variants, listener):
    found = embed_variants(variants, EmbeddingFlags(), listener)
    assert found.vectors is None
    assert found.tokens.shape == (8, 24)
    assert found.info["width"] == found.width == found.dense().shape[1] == 480
    np.testing.assert_array_equal(found.dense().sum(axis=1), [24, 17, 24, 24, 17, 24, 24, 17])


def test_importing_the_stage_does_not_import_torch():
    code = "import sys, proteinx_pipelines.stages.embedding.embed; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_letters_that_no_model_knows_are_named_with_their_variants(variant_table):
    rows = [("s", "A1C", "CC"), ("s", "A1X", "XC*"), ("s", "A1-", ""), ("s", "low", "cc")]
    with pytest.raises(BadVariants) as caught:
        embed_variants(variant_table(rows, {"s": "AC"}), EmbeddingFlags(), StageMonitor())
    message = str(caught.value)
    assert message.startswith("3 of 4 variants cannot be embedded")
    assert "s/A1X: has '*', 'X'" in message
    assert "s/A1-: no residue" in message
    assert "s/low: has 'c'" in message
    assert "`transform.unknown`" in message


def test_of_many_bad_variants_twenty_are_named(variant_table):
    rows = [("s", f"A{i}X", "X") for i in range(50)]
    with pytest.raises(BadVariants, match=r"(?s)50 of 50 .*s/A19X.*and 30 more$") as caught:
        embed_variants(variant_table(rows, {"s": "A"}), EmbeddingFlags(), StageMonitor())
    assert "s/A20X" not in str(caught.value)


def test_a_table_without_rows_is_refused(variant_table):
    with pytest.raises(BadVariants, match="no variant to embed"):
        embed_variants(variant_table([], {}), EmbeddingFlags(), StageMonitor())


def test_mutated_positions_need_a_template_of_the_same_length(variant_table, checkpoint):
    table = variant_table([("s", "WT", "ACD")], {"s": "ACDE"})
    with pytest.raises(BadVariants, match=r"'s' have 3 residues and its template has 4.*Use mean or bos"):
        embed_variants(table, esm_flags(pooling="mutated"), StageMonitor(), weights=checkpoint)
