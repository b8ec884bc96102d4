"""Which of several vectors a variant gets."""

import numpy as np

from proteinx_pipelines.stages.embedding.from_file import vectors_from_file


def test_a_vector_under_the_id_counts_before_one_under_the_sequence(variant_table, tmp_path):
    """A variant with two vectors was said to be refused; it never was."""
    table = variant_table([("s", "WT", "MKTAYI"), ("s", "K2R", "MRTAYI")], {"s": "MKTAYI"})
    names, vectors = ["MRTAYI", "s/WT", "s/K2R", "WT"], np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(tmp_path / "v.npz", vectors=vectors, sequences=np.array(names))
    found, info = vectors_from_file(table, tmp_path / "v.npz")
    np.testing.assert_array_equal(found, vectors[1:3])
    assert (info["matched_by"], info["vectors_of_others"]) == ({"id": 2}, 2)
