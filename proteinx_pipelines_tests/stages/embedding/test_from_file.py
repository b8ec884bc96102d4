"""Which of several vectors a variant gets."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.stages.embedding.from_file import vectors_from_file
from proteinx_pipelines.variant_files.numbering import AS_WRITTEN
from proteinx_pipelines.variant_files.numbering import TEMPLATE as TEMPLATE_NUMBERING


def test_a_vector_under_the_id_counts_before_one_under_the_sequence(variant_table, tmp_path):
    """A variant with two vectors was said to be refused; it never was."""
    table = variant_table([("s", "WT", "MKTAYI"), ("s", "K2R", "MRTAYI")], {"s": "MKTAYI"})
    names, vectors = ["MRTAYI", "s/WT", "s/K2R", "WT"], np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(tmp_path / "v.npz", vectors=vectors, sequences=np.array(names))
    found, info = vectors_from_file(table, tmp_path / "v.npz")
    np.testing.assert_array_equal(found, vectors[1:3])
    assert (info["matched_by"], info["vectors_of_others"]) == ({"id": 2}, 2)


TEMPLATE = "MKTAYIAKQRQISFVKSHFSRQ"
SINGLES = [f"{letter}{place}W" for place, letter in enumerate(TEMPLATE, 1)]


def numbered(variant_table, by, template=TEMPLATE, mutants=SINGLES):
    """The variants of a source whose people count otherwise."""
    rows = [
        ("s", text, template[: int(text[1:-1]) - 1] + text[-1] + template[int(text[1:-1]) :])
        for text in mutants
    ]
    return replace(variant_table(rows, {"s": template}), offsets={"s": by})


@pytest.mark.parametrize("prefix", ["", "s/"])
@pytest.mark.parametrize("by", [100, -3])
@pytest.mark.parametrize("in_template", [True, False])
def test_vectors_are_named_in_the_numbering_of_the_source_or_of_its_template(
    variant_table, tmp_path, prefix, by, in_template
):
    table = numbered(variant_table, by)
    names = SINGLES if in_template else renumbered(SINGLES, by).to_pylist()
    vectors = np.arange(44, dtype=np.float32).reshape(22, 2)
    np.savez(tmp_path / "v.npz", vectors=vectors, ids=np.array([f"{prefix}{name}" for name in names]))
    found, info = vectors_from_file(table, tmp_path / "v.npz")
    np.testing.assert_array_equal(found, vectors)
    assert info["numbering"] == {"s": TEMPLATE_NUMBERING if in_template else AS_WRITTEN}
    assert sum(info["matched_by"].values()) == 22


def test_vectors_in_a_numbering_that_is_not_clear_are_refused(variant_table, tmp_path):
    """A template that repeats: the file would give every variant the vector of another one."""
    table = numbered(variant_table, 2, "AGAGAGAG", ["A3C", "A5C"])
    np.savez(
        tmp_path / "v.npz", vectors=np.zeros((3, 2), np.float32), mutants=np.array(["A3C", "A5C", "A7C"])
    )
    with pytest.raises(
        BadVariants, match="which has two numberings, and it does not show in which numbering it is"
    ):
        vectors_from_file(table, tmp_path / "v.npz")


@pytest.mark.parametrize("form", ["v.csv", "v.tsv", "v.parquet", "v.feather", "v.csv.gz"])
@pytest.mark.parametrize("column", ["mutant", "sequence", "id"])
def test_vectors_may_be_a_table_of_numbers_beside_names(variant_table, tmp_path, form, column):
    table = numbered(variant_table, 0)
    vectors = np.arange(66, dtype=np.float32).reshape(22, 3) / 7
    names = table.rows.column(column).to_pylist()
    frame = pd.DataFrame(
        {
            "Unnamed: 0": range(22),
            column: names,
            "d0": vectors[:, 0],
            "d1": vectors[:, 1],
            "d2": vectors[:, 2],
        }
    )
    if form.endswith("parquet"):
        frame.to_parquet(tmp_path / form)
    elif form.endswith("feather"):
        frame.to_feather(tmp_path / form)
    else:
        frame.to_csv(tmp_path / form, index=False, sep="\t" if "tsv" in form else ",")
    found, info = vectors_from_file(table, tmp_path / form)
    np.testing.assert_array_equal(found, vectors)
    assert info["matched_by"] == {column: 22}


def test_a_table_without_names_or_numbers_is_refused(variant_table, tmp_path):
    (tmp_path / "v.csv").write_text("a,b\nx,y\n")
    with pytest.raises(BadVariants, match="one that names the rows is expected"):
        vectors_from_file(numbered(variant_table, 0), tmp_path / "v.csv")
    (tmp_path / "w.csv").write_text("mutant,note\nM1W,\n")
    with pytest.raises(BadVariants, match=r"v\.csv|w\.csv"):
        vectors_from_file(numbered(variant_table, 0), tmp_path / "w.csv")


def _small_and_endless(path):
    """Less than a megabyte that opens as gigabytes: compressed zeros, and numbers that nobody wrote."""
    if path.suffix == ".npz":
        np.savez_compressed(path, vectors=np.zeros((30_000_000, 1), np.float32), ids=np.array(["a"]))
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as stream:
            stream.create_dataset("vectors", shape=(10**7, 10**4), dtype="f4", chunks=(10**4, 10))
    else:
        torch.save({"vectors": torch.zeros(1).expand(10**7, 10**4), "ids": ["a"]}, path)


@pytest.mark.parametrize("name", ["v.npz", "v.h5", "v.pt"])
def test_a_small_file_of_endless_vectors_is_refused(variant_table, tmp_path, name):
    """A message's `embedding.path` could fill the memory of a node with a file of a few kilobytes."""
    _small_and_endless(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 10**6
    table = variant_table([("s", "K2R", "MRTAYI")], {"s": "MKTAYI"})
    with pytest.raises(BadVariants, match=r"(numbers in|unpacks to more than)"):
        vectors_from_file(table, tmp_path / name)
