"""Sequences as arrays of bytes."""

import pyarrow as pa
import pytest

from proteinx_pipelines.stages.embedding.letters import _as_one_array


@pytest.mark.slow
def test_more_than_two_gibibytes_of_residues_are_one_array():
    """Chunks were joined before they had 64-bit offsets: Arrow refused what those were meant to allow."""
    chunk = pa.array(["ACDE" * 2**18] * 64)
    joined = _as_one_array(pa.chunked_array([chunk] * 33))
    assert joined.type == pa.large_string()
    assert len(joined) == 33 * 64
    assert joined[-1].as_py() == chunk[0].as_py()
