"""Zero-shot scores, differences from the template and windows, against fair-esm's own models."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from proteinx_pipelines.errors import BadVariants, MissingWeights
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.stages.embedding import language_model, stream
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.pooling import differing_positions

ESM2, ESM1 = "esm2_t6_8M_UR50D", "esm1v_t33_650M_UR90S_1"


@pytest.fixture(scope="module")
def esm1(tmp_path_factory):
    """A small ESM-1v of random weights in fair-esm's form, and fair-esm's own model of it."""
    import torch
    from esm import Alphabet, ProteinBertModel

    alphabet = Alphabet.from_architecture("roberta_large")
    settings = {"arch": "roberta_large", "layers": 2, "embed_dim": 16, "ffn_embed_dim": 32, "attention_heads": 4,
                "max_positions": 64, "token_dropout": True, "emb_layer_norm_before": True}  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = ProteinBertModel(Namespace(**settings), alphabet).eval()
        model.embed_tokens.weight.data[alphabet.mask_idx].zero_()
    state = {(name if name.startswith("lm_head") else f"sentence_encoder.{name}"): tensor
             for name, tensor in model.state_dict().items() if "contact_head" not in name}  # fmt: skip
    path = tmp_path_factory.mktemp("esm1") / f"{ESM1}.pt"
    args = {(name if name in ("arch", "max_positions", "token_dropout") else f"encoder_{name}"): value
            for name, value in settings.items()}  # fmt: skip
    torch.save({"args": Namespace(**args), "model": {f"encoder.{k}": v for k, v in state.items()}}, path)
    return model, path


def embed(variants, path, name=ESM2, **flags):
    return embed_variants(variants, EmbeddingFlags(name=name, **flags), StageMonitor(), weights=Path(path))


def logits_of(model, sequence, hidden=None):
    """fair-esm's own log probabilities [T, 33] of a sequence, one position hidden."""
    import torch
    from esm import Alphabet

    alphabet = Alphabet.from_architecture("roberta_large")
    tokens = torch.tensor([[alphabet.cls_idx, *(alphabet.get_idx(a) for a in sequence), alphabet.eos_idx]])
    if hidden is not None:
        tokens[0, hidden + 1] = alphabet.mask_idx
    with torch.no_grad():
        return torch.log_softmax(model(tokens)["logits"][0], dim=-1).numpy()[1:-1], alphabet


def expected_scores(model, variants, *, masked):
    scores = []
    for source, sequence in zip(variants.column("source"), variants.column("sequence"), strict=True):
        template, score = variants.templates[source], 0.0
        for at, (old, new) in enumerate(zip(template, sequence, strict=True)):
            if old != new:
                odds, alphabet = logits_of(model, template, at if masked else None)
                score += odds[at, alphabet.get_idx(new)] - odds[at, alphabet.get_idx(old)]
        scores.append(score)
    return np.array(scores)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("kind", ["esm2", "esm1"])
@pytest.mark.slow
def test_zero_shot_scores_are_fair_esms(variants, checkpoint, fair_model, esm1, kind, masked):
    model, path, name = (fair_model, checkpoint, ESM2) if kind == "esm2" else (*esm1, ESM1)
    flags = {"zero_shot": "masked_marginals" if masked else "wild_type_marginals"}
    layer = {"layer": 2} if kind == "esm2" else {"layer": 1}  # the head reads the last layer all the same
    found = embed(variants, path, name, pooling="none", **flags, **layer)
    assert found.vectors.shape == (8, 1)
    expected = expected_scores(model, variants, masked=masked)
    np.testing.assert_allclose(found.vectors[:, 0], expected, atol=1e-4)
    assert found.vectors[2, 0] == found.vectors[7, 0] == 0.0  # wild types
    beside = embed(variants, path, name, pooling="mean", **flags, **layer)
    np.testing.assert_array_equal(beside.vectors[:, -1], found.vectors[:, 0])
    np.testing.assert_array_equal(beside.vectors[:, :-1], embed(variants, path, name, **layer).vectors)


@pytest.mark.parametrize("layer", [2, [2, 0]])
@pytest.mark.parametrize("pooling", ["mean", "bos", "mutated", "per_residue"])
@pytest.mark.slow
def test_esm1_embeddings_are_fair_esms(variants, esm1, pooling, layer):
    import torch
    from esm import Alphabet

    model, path = esm1
    found = embed(variants, path, ESM1, pooling=pooling, layer=layer).vectors
    alphabet = Alphabet.from_architecture("roberta_large")
    for row, (source, sequence) in enumerate(
        zip(variants.column("source"), variants.column("sequence"), strict=True)
    ):
        tokens = torch.tensor(
            [[alphabet.cls_idx, *(alphabet.get_idx(a) for a in sequence), alphabet.eos_idx]]
        )
        with torch.no_grad():
            own = model(tokens, repr_layers=[0, 2])["representations"]
        states = np.hstack([own[each][0].numpy() for each in ([2] if layer == 2 else layer)])
        changed = [
            at for at, (a, b) in enumerate(zip(sequence, variants.templates[source], strict=True)) if a != b
        ]
        at_sites = states[1:-1][changed] if changed else states[1:-1]
        chosen = {"bos": states[:1], "mutated": at_sites}.get(pooling, states[1:-1])
        if pooling == "per_residue":
            n_numbers = len(sequence) * states.shape[1]
            np.testing.assert_allclose(found[row, :n_numbers], states[1:-1].reshape(-1), atol=1e-5)
            assert not found[row, n_numbers:].any()
        else:
            np.testing.assert_allclose(found[row], chosen.mean(axis=0), atol=1e-5)


def test_the_difference_is_taken_at_the_mutated_positions(variants, checkpoint, fair_model):
    found = embed(variants, checkpoint, pooling="mutated_difference").vectors
    mutated = embed(variants, checkpoint, pooling="mutated").vectors
    import torch

    template = variants.templates["long"]
    from esm import Alphabet

    alphabet = Alphabet.from_architecture("roberta_large")
    tokens = torch.tensor([[alphabet.cls_idx, *(alphabet.get_idx(a) for a in template), alphabet.eos_idx]])
    with torch.no_grad():
        states = fair_model(tokens, repr_layers=[6])["representations"][6][0, 1:-1].numpy()
    scale = np.abs(states).max()
    np.testing.assert_allclose(found[3], mutated[3] - states[[1, 23]].mean(axis=0), atol=1e-5 * scale)
    np.testing.assert_allclose(found[[2, 7]], 0, atol=1e-5 * scale)  # wild types differ nowhere


@pytest.mark.slow
def test_long_sequences_are_cut_around_their_mutations(variants, checkpoint, variant_table):
    near = VariantTable(
        variants.rows.take([0, 1, 2, 4, 5, 6, 7]), variants.templates
    )  # K2R:E24W fits no window
    found = embed(near, checkpoint, window=20)
    assert found.info["windowed"] == {"sequences": 4, "residues": 20}
    by_hand = variant_table(
        [("a", "M1A", "AKTAYIAKQRQISFVKSHFS"), ("b", "T3C", "MKCAYIAKQRQISFVKSHFS"),
         ("c", "WT", "TAYIAKQRQISFVKSHFSRQ")],
        {"a": "MKTAYIAKQRQISFVKSHFS", "b": "MKTAYIAKQRQISFVKSHFS", "c": "TAYIAKQRQISFVKSHFSRQ"},
    )  # fmt: skip
    expected = embed(by_hand, checkpoint).vectors
    np.testing.assert_allclose(found.vectors[[0, 4, 2]], expected, rtol=1e-4, atol=1e-5)


def test_mutations_further_apart_than_the_window_are_named(variants, checkpoint):
    with pytest.raises(
        BadVariants, match=r"1 variants have mutations further apart than the 22 residues.*K2R:E24W"
    ):
        embed(variants, checkpoint, window=22)


def test_a_damaged_esm1_checkpoint_is_named(variants, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(MissingWeights, match=f"x.pt is not a checkpoint of {ESM1}"):
        embed(variants, path, ESM1)


def test_whole_sequences_that_esm1_cannot_see_are_not_sent_to_a_larger_window(variant_table, esm1):
    """The advice was to raise `embedding.window`, which ended in an error of fair-esm."""
    long = "ACDEFGHIKLMNPQRSTVWY" * 52
    table = variant_table([("s", "WT", long)], {"s": long})
    with pytest.raises(BadVariants, match=r"1 are longer than the model's window\. Use the mutated domain"):
        embed(table, esm1[1], ESM1, pooling="per_residue")
    with pytest.raises(BadVariants, match=r"Raise `embedding\.window` \(to 1,022 at most\), use the mutated"):
        embed(table, esm1[1], ESM1, pooling="per_residue", window=20)


def test_differences_are_taken_in_pieces(variants, checkpoint, monkeypatch):
    """In double precision and all rows at once, they took three times the memory that the vectors themselves have."""
    whole = embed(variants, checkpoint, pooling="mutated_difference").vectors
    sizes = []

    def watched(letters, template, source):
        sizes.append(len(letters))
        return differing_positions(letters, template, source)

    monkeypatch.setattr(language_model, "_ROWS_PER_CHUNK", 2)
    monkeypatch.setattr(language_model, "differing_positions", watched)
    pieces = embed(variants, checkpoint, pooling="mutated_difference").vectors
    assert sum(sizes) == len(variants.rows)
    assert max(sizes) == 2
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "mutated_difference"])
def test_a_score_does_not_bring_a_mapped_matrix_into_memory(variants, checkpoint, monkeypatch, pooling):
    """Vectors too large for memory were copied into it to put the score's one column behind them."""
    flags = {"pooling": pooling, "zero_shot": "wild_type_marginals"}
    in_memory = embed(variants, checkpoint, **flags).vectors
    made = []

    def watched(n, width):
        made.append((n, width))
        return stream.allocate(n, width)

    monkeypatch.setattr(stream, "MAX_BYTES_IN_MEMORY", 0)
    monkeypatch.setattr(language_model, "allocate", watched)
    mapped = embed(variants, checkpoint, **flags).vectors
    assert isinstance(mapped, np.memmap)
    assert made == [(8, 321)]
    np.testing.assert_array_equal(mapped, in_memory)
