import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.embedding.onehot import PADDING, residue_tokens

SEQUENCES = st.lists(st.text(AMINO_ACIDS, min_size=1, max_size=12), min_size=1, max_size=8)


@settings(max_examples=50)
@given(sequences=SEQUENCES)
def test_tokens_spell_the_sequences(sequences):
    tokens = residue_tokens(pa.array(sequences))
    assert tokens.dtype == np.uint8
    assert tokens.shape == (len(sequences), max(map(len, sequences)))
    spelled = ["".join(AMINO_ACIDS[t] for t in row if t != PADDING) for row in tokens.tolist()]
    assert spelled == sequences


def test_dense_rows_have_one_1_per_residue_and_none_where_padded():
    tokens = residue_tokens(pa.array(["ACW", "Y"]))
    dense = Embedding(ids=pa.array(["a", "b"]), info={}, tokens=tokens).dense().reshape(2, 3, 20)
    np.testing.assert_array_equal(dense.sum(axis=2), [[1, 1, 1], [1, 0, 0]])
    assert [AMINO_ACIDS[i] for i in dense[0].argmax(axis=1)] == ["A", "C", "W"]


def test_a_slice_of_a_longer_column_is_read_from_its_own_start():
    """Arrow slices share the buffers of the whole column."""
    column = pa.chunked_array([["WWW", "AC"], ["DE", "K"]])
    np.testing.assert_array_equal(residue_tokens(column[1:]), residue_tokens(pa.array(["AC", "DE", "K"])))
    np.testing.assert_array_equal(
        residue_tokens(column.combine_chunks()[2:]), residue_tokens(pa.array(["DE", "K"]))
    )
