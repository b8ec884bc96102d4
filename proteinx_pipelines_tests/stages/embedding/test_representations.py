"""Representations without weights, from a file, from a plugin, side by side."""

import numpy as np
import pytest

from proteinx_pipelines import representations
from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.errors import BadVariants, FlagError, MissingFile, PluginError
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.flags.names import refuse_unknown_names
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.scales import HYDROPATHY, scale_table, z_scales
from proteinx_pipelines.stages.embedding.columns import SUBSTITUTION_COLUMNS
from proteinx_pipelines.stages.embedding.embed import embed_variants
from proteinx_pipelines.stages.known_names import known_here

TEMPLATES = {"s": "MKTAYI"}
ROWS = [("s", "WT", "MKTAYI"), ("s", "K2R", "MRTAYI"), ("s", "K2A:Y5W", "MATAWI"), ("s", "Y5F", "MKTAFI")]


@pytest.fixture
def table(variant_table):
    return variant_table(ROWS, TEMPLATES)


def embed(table, **flags):
    return embed_variants(table, EmbeddingFlags(**flags), StageMonitor())


def test_a_residues_columns_are_those_of_the_positions_that_vary(table):
    found = embed(table, name="blosum62")
    assert found.info["positions"] == 2
    assert found.vectors.shape == (4, 40)
    expected = np.concatenate([blosum62()[AMINO_ACIDS.index(letter)] for letter in "AW"]) / 4
    np.testing.assert_allclose(found.vectors[2], expected)
    scales = embed(table, name="scales").vectors
    np.testing.assert_allclose(scales[1, :8], scale_table()[AMINO_ACIDS.index("R")], rtol=1e-6)
    assert scales.shape == (4, 16)


def test_the_scales_are_standardised_and_ordered_by_lipophilicity():
    np.testing.assert_allclose(scale_table().mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scale_table().std(axis=0), 1)
    hydropathy = HYDROPATHY[[ord(letter) for letter in AMINO_ACIDS]]
    assert np.corrcoef(z_scales()[:, 0], hydropathy)[0, 1] < -0.6  # z1 is low for lipophilic residues


def test_a_substitution_is_described_whatever_the_protein(table):
    found = embed(table, name="substitution").vectors
    column = {name: k for k, name in enumerate(SUBSTITUTION_COLUMNS)}
    assert found.shape == (4, len(SUBSTITUTION_COLUMNS)) == (4, 99)
    assert not found[0].any()
    double = found[2]
    assert [double[column[f"from_{letter}"]] for letter in "KYM"] == [1, 1, 0]
    assert [double[column[f"to_{letter}"]] for letter in "AWM"] == [1, 1, 0]
    assert (double[column["mutations"]], double[column["position"]]) == (
        2,
        pytest.approx((1 / 5 + 4 / 5) / 2),
    )
    assert double[column["blosum62"]] == pytest.approx((-1 + 2) / 4)
    neighbour = scale_table()[AMINO_ACIDS.index("M")]
    assert found[1, column["window_-1_0"]] == pytest.approx(neighbour[0])
    assert found[1, column["window_-2_0"]] == 0


def test_a_substitutions_position_does_not_depend_on_other_proteins(variant_table):
    """It was a fraction of the longest sequence of the table: beside a long protein all were near the start."""
    at = SUBSTITUTION_COLUMNS.index("position")
    templates = TEMPLATES | {"long": "ACDEFGHIKL" * 5}
    beside = variant_table([*ROWS, ("long", "L50A", templates["long"][:-1] + "A")], templates)
    alone = embed(variant_table(ROWS, TEMPLATES), name="substitution").vectors
    found = embed(beside, name="substitution").vectors
    np.testing.assert_array_equal(found[:4], alone)
    assert (found[3, at], found[4, at]) == (pytest.approx(4 / 5), 1)


def test_representations_stand_side_by_side_in_their_order(table):
    alone = [embed(table, name=name).vectors for name in ("scales", "substitution")]
    one_hot = embed(table, name="scales", also=("substitution", "onehot"))
    np.testing.assert_array_equal(one_hot.vectors[:, :115], np.hstack(alone))
    assert one_hot.vectors[:, 115:].sum(axis=1).tolist() == [2, 2, 2, 2]
    assert one_hot.info["name"] == "scales+substitution+onehot"
    assert [(part["name"], part["width"]) for part in one_hot.info["parts"]] == [
        ("scales", 16), ("substitution", 99), ("onehot", 40),
    ]  # fmt: skip
    assert one_hot.info["width"] == one_hot.width == 155


def save(path, names, vectors, kind, named="ids"):
    import torch
    from safetensors.numpy import save_file

    if path.suffix == ".npz":
        arrays = (
            {named: np.array(names), "vectors": vectors}
            if kind == "matrix"
            else dict(zip(names, vectors, strict=True))
        )
        np.savez(path, **arrays)
    elif path.suffix == ".h5":
        import h5py

        with h5py.File(path, "w") as stream:
            content = (
                {named: names, "vectors": vectors.astype(np.float16)}
                if kind == "matrix"
                else dict(zip(names, vectors, strict=True))
            )
            for name, value in content.items():
                stream[name] = value
    elif path.suffix == ".pt":
        tensors = torch.from_numpy(vectors)
        torch.save(
            {named: names, "embeddings": tensors}
            if kind == "matrix"
            else dict(zip(names, tensors, strict=True)),
            path,
        )
    else:
        import json

        content = {"vectors": vectors} if kind == "matrix" else dict(zip(names, vectors, strict=True))
        save_file(content, path, {named: json.dumps(names)} if kind == "matrix" else None)
    return str(path)


@pytest.mark.parametrize("form", ["npz", "pt", "safetensors", "h5"])
@pytest.mark.parametrize("kind", ["matrix", "one by one"])
@pytest.mark.parametrize("by", ["id", "sequence", "mutant"])
def test_vectors_of_a_file_go_to_the_variants_they_belong_to(table, tmp_path, form, kind, by):
    names = [*reversed(table.column(by).tolist()), "somebody else"]
    vectors = np.arange(15, dtype=np.float32).reshape(5, 3)
    file = save(tmp_path / f"vectors.{form}", names, vectors, kind)
    found = embed(table, name="file", path=file)
    np.testing.assert_array_equal(found.vectors, vectors[[3, 2, 1, 0]])
    assert found.info["matched_by"] == {by: 4}
    assert found.info["vectors_of_others"] == 1
    assert len(found.info["file_sha256"]) == 64


def test_a_file_that_cannot_be_used_says_why(table, tmp_path):
    names, vectors = table.column("id").tolist(), np.zeros((4, 2), np.float32)
    short = save(tmp_path / "short.npz", names[:2], vectors[:2], "matrix")
    with pytest.raises(BadVariants, match=r"no vector for 2 of 4 variants \(s/K2A:Y5W, s/Y5F\).*like 's/WT'"):
        embed(table, name="file", path=short)
    twice = save(tmp_path / "twice.npz", [*names, names[0]], np.arange(10.0).reshape(5, 2), "matrix")
    with pytest.raises(BadVariants, match=r"two different vectors for 1 names \('s/WT'\)"):
        embed(table, name="file", path=twice)
    uneven = tmp_path / "uneven.npz"
    np.savez(uneven, **{"s/WT": np.zeros(2), "s/K2R": np.zeros(3)})
    with pytest.raises(BadVariants, match="vectors of 2, 3 numbers; equal lengths"):
        embed(table, name="file", path=str(uneven))
    bad = save(tmp_path / "bad.npz", names, np.full((4, 2), np.nan, np.float32), "matrix")
    with pytest.raises(BadVariants, match="not finite, the first in the vector of 's/WT'"):
        embed(table, name="file", path=bad)
    pickled = tmp_path / "objects.npz"
    np.savez(pickled, ids=np.array(names, dtype=object), vectors=vectors)
    with pytest.raises(BadVariants, match="allow_pickle=False"):
        embed(table, name="file", path=str(pickled))
    with pytest.raises(MissingFile, match="is not a file on this node"):
        embed(table, name="file", path=str(tmp_path / "no.npz"))


def test_hdf5_of_bio_embeddings_is_matched_by_its_original_ids(table, tmp_path):
    """They number the datasets and keep the name of each sequence in an attribute."""
    import h5py

    with h5py.File(tmp_path / "vectors.hdf5", "w") as stream:
        for row, name in enumerate(table.column("id")):
            stream[str(row)] = np.full(2, row, np.float32)
            stream[str(row)].attrs["original_id"] = name
    found = embed(table, name="file", path=str(tmp_path / "vectors.hdf5"))
    np.testing.assert_array_equal(found.vectors[:, 0], np.arange(4))


def test_hdf5_that_points_to_other_files_or_holds_no_numbers_is_refused(table, tmp_path):
    import h5py

    names, vectors = table.column("id").tolist(), np.zeros((4, 2), np.float32)
    other = save(tmp_path / "other.h5", names, vectors, "matrix")
    with h5py.File(tmp_path / "link.h5", "w") as stream:
        stream["ids"], stream["vectors"] = names, h5py.ExternalLink(other, "vectors")
    with pytest.raises(BadVariants, match=r"link.h5 cannot be read"):
        embed(table, name="file", path=str(tmp_path / "link.h5"))
    layout = h5py.VirtualLayout((4, 2), np.float32)
    layout[:] = h5py.VirtualSource(other, "vectors", (4, 2))
    with h5py.File(tmp_path / "virtual.h5", "w") as stream:
        stream["ids"] = names
        stream.create_virtual_dataset("vectors", layout)
    with pytest.raises(BadVariants, match="'vectors' keeps its numbers in other files"):
        embed(table, name="file", path=str(tmp_path / "virtual.h5"))
    with h5py.File(tmp_path / "odd.h5", "w") as stream:
        stream["s/WT"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])
    with pytest.raises(BadVariants, match=r"'s/WT' is of type .*; numbers or names are expected"):
        embed(table, name="file", path=str(tmp_path / "odd.h5"))
    (tmp_path / "torn.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:700])
    with pytest.raises(BadVariants, match=r"torn\.h5 cannot be read"):
        embed(table, name="file", path=str(tmp_path / "torn.h5"))
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(BadVariants, match="nothing in it"):
        embed(table, name="file", path=str(tmp_path / "empty.h5"))


def test_a_pickle_that_would_run_code_is_not_run(table, tmp_path):
    import pickle  # noqa: TID251  (made here to see that it is refused)

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harm"), "w"))

    path = tmp_path / "vectors.pt"
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(BadVariants, match="cannot be read"):
        embed(table, name="file", path=str(path))
    assert not (tmp_path / "harm").exists()


def parsed_here(tree):
    """Flags as a node takes them: their shape, and then the names that it knows."""
    flags = parse_flags(tree)
    refuse_unknown_names(flags, known_here())
    return flags


def test_a_plugins_representation_is_a_name_like_any_other(table, monkeypatch):
    monkeypatch.setattr(representations, "_registered", {})
    with pytest.raises(FlagError, match=r"unknown 'lengths'; expected one of onehot"):
        parsed_here({"data.source": "s", "embedding.name": "lengths"})
    representations.register(
        "lengths",
        lambda sequences, templates: np.array(
            [[len(s), len(t)] for s, t in zip(sequences, templates, strict=True)]
        ),
    )
    flags = parsed_here({"data.source": "s", "embedding.name": "lengths", "embedding.also": ["scales"]})
    found = embed_variants(table, flags.embedding, StageMonitor())
    assert found.vectors[:, :2].tolist() == [[6, 6]] * 4
    representations.register("broken", lambda sequences, templates: np.zeros((1, 2)))
    with pytest.raises(PluginError, match=r"'broken' gave an array of shape \(1, 2\) for 4 variants"):
        embed(table, name="broken")
    with pytest.raises(ValueError, match="'onehot'"):
        representations.register("onehot", lambda sequences, templates: np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"name": "file"}, "`embedding.path`: missing; `embedding.name` file needs it"),
        ({"path": "x.npz"}, "`embedding.path`: neither `embedding.name` nor `embedding.also` is file"),
        ({"also": ["onehot"]}, "onehot would be there twice"),
        (
            {"also": ["esm2_t6_8M_UR50D"]},
            "`embedding.also`: esm2_t6_8M_UR50D has weights; name it in `embedding.name`",
        ),
        ({"zero_shot": "masked_marginals"}, "onehot, which has no score of its own"),
        ({"name": "esm2_t6_8M_UR50D", "pooling": "none"}, "so nothing would be left"),
        ({"name": "esm2_t6_8M"}, r"\(did you mean 'esm2_t6_8M_UR50D'\?\)"),
        ({"window": 100}, "onehot, which has none of these"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, expected):
    with pytest.raises(FlagError, match=expected):
        parsed_here({"data.source": "s", "embedding": flags})
