import pytest
from pydantic import ValidationError

from proteinx_pipelines.domain.embedders import ESM2_MODELS, esm_layers
from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.stages.known_names import known_here


def test_a_models_name_says_its_layers():
    assert [esm_layers(name) for name in ESM2_MODELS] == [6, 12, 30, 33, 36, 48]


def test_the_last_layer_exists_and_the_one_behind_it_does_not():
    assert EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=6).layer == 6
    with pytest.raises(ValidationError, match="esm2_t6_8M_UR50D has 6 layers; 0 to 6 is expected"):
        EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=7)


def test_layers_may_be_several_each_of_them_once():
    assert EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=[6, 3]).layer == (6, 3)
    assert EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=[6]).layer == 6
    for layer, expected in (([0, 7], "0 to 6 is expected"), ([3, 3], "name each once"), ([], "at least 1")):
        with pytest.raises(ValidationError, match=expected):
            EmbeddingFlags(name="esm2_t6_8M_UR50D", layer=layer)


@pytest.mark.parametrize("flag", [{"weights": "x.pt"}, {"layer": 0}])
def test_onehot_has_neither_weights_nor_layers(flag):
    """Whoever names a checkpoint and forgets the model would get one-hot without a word."""
    with pytest.raises(ValidationError, match=r"`embedding\.name` is onehot"):
        EmbeddingFlags(**flag)


def test_a_wrong_name_is_the_only_problem_reported_for_it():
    with pytest.raises(FlagError) as caught:
        parse_flags({"data.source": "A", "embedding": {"name": "esm3", "layer": 3}}, known=known_here())
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["`embedding.name`"]


def test_a_window_is_no_wider_than_the_positions_that_a_model_has_learned():
    """ESM-1 took a window of 2,000; a protein of 1,500 residues then failed inside of fair-esm."""
    esm1 = "esm1v_t33_650M_UR90S_1"
    assert EmbeddingFlags(name=esm1, window=1022).window == 1022
    assert EmbeddingFlags(name="esm2_t6_8M_UR50D", window=4096).window == 4096
    with pytest.raises(ValidationError, match=f"{esm1} has positions for 1022 residues; at most that"):
        EmbeddingFlags(name=esm1, window=1023)
