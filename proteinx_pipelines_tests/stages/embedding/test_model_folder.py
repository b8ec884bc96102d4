"""Language models from folders in Hugging Face's form: the same numbers as `transformers`, and nothing executed."""

import json
import shutil

import numpy as np
import pytest
import torch

from proteinx_pipelines.domain.residues import AMINO_ACIDS
from proteinx_pipelines.errors import FlagError, MissingWeights
from proteinx_pipelines.execution.outside_inputs import content_sha256
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.embedding.esm2_engine import (
    MASK,
    TOKENS_OF_RESIDUES,
    Esm2Engine,
    esm2_tokens,
)
from proteinx_pipelines.stages.embedding.esm2_weights import read_weights
from proteinx_pipelines.stages.embedding.folder_models import open_folder
from proteinx_pipelines.stages.embedding.letters import as_letters
from proteinx_pipelines.stages.embedding.model_folder import folder_sha256, read_folder

transformers = pytest.importorskip("transformers")
LETTERS = np.stack([as_letters(text) for text in ("MKTAYIAKQRQISF", "ACDEFGHIKLMNPQ")])
HIDDEN = np.array([3, 13])


def random_weights(model):
    """Every parameter random, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def esm_config(**more):
    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    return transformers.EsmConfig(
        **{**sizes, "vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1, "position_embedding_type": "rotary",
           "token_dropout": True, "emb_layer_norm_before": False, "layer_norm_eps": 1e-5, **more}
    )  # fmt: skip


@pytest.fixture(scope="module")
def esm2(tmp_path_factory):
    model = random_weights(transformers.EsmForMaskedLM(esm_config()))
    folder = tmp_path_factory.mktemp("models") / "esm2_small"
    model.save_pretrained(folder)
    return folder, model


@pytest.fixture(scope="module")
def esmc(tmp_path_factory):
    config = transformers.EsmcConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
    )
    model = random_weights(transformers.EsmcForMaskedLM(config))
    folder = tmp_path_factory.mktemp("models") / "esmc_small"
    model.save_pretrained(folder)
    return folder, model


def opened(folder, **flags):
    made = EmbeddingFlags(name="folder", weights=str(folder), **flags)
    return open_folder(made, folder)[0]


@pytest.mark.parametrize("kind", ["esm2", "esmc"])
def test_states_of_every_layer_are_those_of_transformers(kind, request):
    folder, model = request.getfixturevalue(kind)
    tokens = torch.from_numpy(esm2_tokens(LETTERS))
    with torch.no_grad():
        expected = model(tokens, output_hidden_states=True).hidden_states
    for layer in range(4):
        found = opened(folder, layer=layer).residue_states(LETTERS)
        np.testing.assert_allclose(
            found, expected[layer][:, 1:-1].numpy(), atol=3e-4, err_msg=f"layer {layer}"
        )
    both = opened(folder, layer=(1, 3)).embed(LETTERS)
    parts = [expected[layer][:, 1:-1].mean(dim=1) for layer in (1, 3)]
    np.testing.assert_allclose(both, torch.cat(parts, dim=1).numpy(), atol=3e-4)


@pytest.mark.parametrize("kind", ["esm2", "esmc"])
@pytest.mark.parametrize("masked", [None, HIDDEN])
def test_logits_are_those_of_transformers(kind, masked, request):
    folder, model = request.getfixturevalue(kind)
    tokens = torch.from_numpy(esm2_tokens(LETTERS))
    if masked is not None:
        tokens[torch.arange(2), torch.from_numpy(masked) + 1] = MASK
    with torch.no_grad():
        expected = model(tokens).logits[:, 1:-1][:, :, TOKENS_OF_RESIDUES].numpy()
    found = opened(folder, layer=1).residue_log_odds(LETTERS, masked)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_bf16_is_near_fp32(esmc):
    one, other = (opened(esmc[0], precision=precision).embed(LETTERS) for precision in ("fp32", "bf16"))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999


def test_saprot_without_a_structure_reads_unknown_structures_and_sums_over_them(tmp_path):
    structures = "pynwrqhgdlvtmfsaeikc#"
    vocabulary = ["<cls>", "<pad>", "<eos>", "<unk>", "<mask>"]
    vocabulary += [a + b for a in (*AMINO_ACIDS, "#") for b in structures]
    config = esm_config(vocab_size=len(vocabulary), mask_token_id=4, token_dropout=True)
    model = random_weights(transformers.EsmForMaskedLM(config))
    folder = tmp_path / "saprot"
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    place = {token: number for number, token in enumerate(vocabulary)}
    rows = [[0, *(place[chr(letter) + "#"] for letter in row), 2] for row in LETTERS]
    tokens = torch.tensor(rows)
    with torch.no_grad():
        states = model(tokens, output_hidden_states=True).hidden_states[-1][:, 1:-1].numpy()
        hidden = tokens.clone()
        hidden[torch.arange(2), torch.from_numpy(HIDDEN) + 1] = place["##"]
        logits = model(hidden).logits[:, 1:-1]
    engine = opened(folder)
    np.testing.assert_allclose(engine.residue_states(LETTERS), states, atol=3e-4)
    columns = [[place[letter + other] for other in structures] for letter in AMINO_ACIDS]
    expected = torch.stack([logits[:, :, group].logsumexp(dim=-1) for group in columns], dim=-1).numpy()
    np.testing.assert_allclose(engine.residue_log_odds(LETTERS, HIDDEN), expected, atol=1e-3)


@pytest.mark.parametrize("mark", ["", "\u2581"])
def test_t5_encoders_are_read_by_transformers_with_their_own_tokens(tmp_path, mark):
    from tokenizers import Tokenizer, models

    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{mark + a: k + 3 for k, a in enumerate(AMINO_ACIDS)}}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>")),
        eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip
    config = transformers.T5Config(
        vocab_size=24, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    model = random_weights(transformers.T5EncoderModel(config))
    folder = tmp_path / "prott5"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tokens = torch.tensor([[*(vocabulary[mark + chr(letter)] for letter in row), 1] for row in LETTERS])
    with torch.no_grad():
        expected = model(tokens).last_hidden_state[:, :-1].numpy()
    engine = opened(folder)
    np.testing.assert_allclose(engine.residue_states(LETTERS), expected, atol=1e-4)
    np.testing.assert_allclose(engine.embed(LETTERS), expected.mean(axis=1), atol=1e-4)
    chosen = np.zeros(LETTERS.shape, bool)
    chosen[:, 5] = True
    mutated = opened(folder, pooling="mutated").embed(LETTERS, chosen)
    np.testing.assert_allclose(mutated, expected[:, 5], atol=1e-4)
    with pytest.raises(FlagError, match="no head that scores"):
        engine.residue_log_odds(LETTERS)
    with pytest.raises(FlagError, match="no such token"):
        opened(folder, pooling="bos")


def test_the_named_size_is_read_from_a_folder_too_and_another_refused(tmp_path, variants):
    model = random_weights(
        transformers.EsmForMaskedLM(
            esm_config(hidden_size=320, num_hidden_layers=6, num_attention_heads=20, intermediate_size=1280)
        )
    )
    folder = tmp_path / "esm2_t6_8M_UR50D"
    model.save_pretrained(folder)
    flags = {"name": "esm2_t6_8M_UR50D", "weights": str(folder)}
    named = embed_variants(variants, EmbeddingFlags(**flags), StageMonitor())
    free = embed_variants(variants, EmbeddingFlags(name="folder", weights=str(folder)), StageMonitor())
    np.testing.assert_allclose(named.vectors, free.vectors, atol=1e-5)
    assert named.info["weights_sha256"] == free.info["weights_sha256"] == folder_sha256(folder)
    with pytest.raises(FlagError, match=r"has 6 layers of width 320, and `embedding.name` esm2_t12"):
        read_weights("esm2_t12_35M_UR50D", folder)


def test_pseudo_likelihoods_are_sums_over_hidden_positions(esmc, variants):
    flags = EmbeddingFlags(name="folder", weights=str(esmc[0]), pooling="none", zero_shot="pseudo_likelihood")
    found = embed_variants(variants, flags, StageMonitor()).vectors[:, 0]

    def likelihood(sequence):
        letters, total = as_letters(sequence), 0.0
        for at, letter in enumerate(sequence):
            logits = opened(esmc[0]).residue_log_odds(letters[None], np.array([at]))[0, at].astype(np.float64)
            total += logits[AMINO_ACIDS.index(letter)] - np.log(np.exp(logits).sum())
        return total

    rows = variants.rows.to_pylist()[:3]
    expected = [likelihood(row["sequence"]) - likelihood(variants.templates[row["source"]]) for row in rows]
    np.testing.assert_allclose(found[:3], expected, atol=1e-3)
    assert found[2] == 0  # the wild type itself


def test_the_digest_is_of_the_content_wherever_it_lies(esm2, tmp_path):
    copy = shutil.copytree(esm2[0], tmp_path / "copy")
    memory = tmp_path / "memory"
    assert folder_sha256(copy) == folder_sha256(esm2[0])
    before = content_sha256(copy, memory)
    (copy / "README.md").write_text("not read", encoding="utf-8")
    assert content_sha256(copy, memory) == before
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "token_dropout": False}), encoding="utf-8")
    assert content_sha256(copy, memory) != before


def test_what_is_no_such_folder_is_refused_with_what_is_expected(esm2, tmp_path):
    with pytest.raises(MissingWeights, match=r"is not a folder with config.json and model.safetensors"):
        read_folder(tmp_path)
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    shutil.copy(esm2[0] / "config.json", pickled)
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04never opened")
    with pytest.raises(MissingWeights, match=r"has no weights in safetensors \(found .*pytorch_model.bin"):
        read_folder(pickled)
    damaged = shutil.copytree(esm2[0], tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(MissingWeights, match="is damaged"):
        opened(damaged)
    other = shutil.copytree(esm2[0], tmp_path / "other")
    config = json.loads((other / "config.json").read_text(encoding="utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "model_type": "bert"}), encoding="utf-8")
    with pytest.raises(MissingWeights, match=r"'bert'; one of esm, esmc, t5 is expected"):
        opened(other)
    absolute = shutil.copytree(esm2[0], tmp_path / "absolute")
    (absolute / "config.json").write_text(
        json.dumps({**config, "position_embedding_type": "absolute"}), encoding="utf-8"
    )
    with pytest.raises(MissingWeights, match="rotary positions is expected"):
        opened(absolute)


def test_a_folder_must_be_named():
    with pytest.raises(FlagError, match=r"`embedding.weights`: missing"):
        parse_flags({"data.source": "A", "embedding.name": "folder"})
    with pytest.raises(FlagError, match=r"name it in `embedding\.name`"):
        parse_flags({"data.source": "A", "embedding.also": ["folder"]})


def test_a_layer_that_is_not_there_is_refused(esmc):
    with pytest.raises(FlagError, match="has 3 layers; 0 to 3 is expected"):
        opened(esmc[0], layer=4)


def test_the_engine_of_fair_esms_form_is_unchanged(checkpoint):
    """Tokens of a folder's own vocabulary must not reach the others."""
    engine = Esm2Engine(
        read_weights("esm2_t6_8M_UR50D", checkpoint), layer=6, pooling="mean", precision="fp32"
    )
    assert engine.residue_log_odds(LETTERS).shape == (2, 14, 20)
