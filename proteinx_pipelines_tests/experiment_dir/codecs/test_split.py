import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from proteinx_pipelines.errors import CorruptArtifact, MissingArtifact
from proteinx_pipelines.experiment_dir.codecs.split import load, save
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Fold, Split

IDS = [f'toy "ö"/A{i}C' for i in range(1, 7)]
SINGLE = [([0, 1, 2], [3], [5])]
THREE = [([0, 1], [2], [4]), ([1, 4], [], [0]), ([0, 2, 4], [], [1, 3])]
LISTS = ["test_ids.json", "train_ids.json", "val_ids.json"]


@pytest.fixture
def directory(tmp_path):
    return ExperimentDir(tmp_path / "experiments", "exp-1")


def split_of(folds, ids=IDS):
    made = tuple(Fold(*(np.array(part, np.int64) for part in fold)) for fold in folds)
    reasons = pa.array([f"rule {i % 2}" for i in range(len(ids))]).dictionary_encode()
    return Split(
        pa.array(ids), made, reasons, {"method": "random", "n_folds": len(made), "sizes": [{"train": 3}]}
    )


@pytest.mark.parametrize("folds", [SINGLE, THREE], ids=["single", "three folds"])
def test_what_was_saved_is_loaded(directory, folds):
    record = split_of(folds)
    save(record, directory)
    found = load(directory)
    assert found.ids.to_pylist() == IDS
    assert found.reasons.to_pylist() == record.reasons.to_pylist()
    assert found.info == record.info
    assert len(found.folds) == len(folds)
    for one, other in zip(found.folds, record.folds, strict=True):
        for part in ("train", "val", "test"):
            assert getattr(one, part).dtype == np.int64
            assert getattr(one, part).tolist() == getattr(other, part).tolist()


def test_a_single_split_is_three_lists_and_an_assignment(directory):
    names = [f"splits/{name}" for name in sorted(["assignment.parquet", "summary.json", *LISTS])]
    assert save(split_of(SINGLE), directory) == names
    train, val, test = (json.loads((directory.splits_dir / f"{part}_ids.json").read_text("utf-8"))
                        for part in ("train", "val", "test"))  # fmt: skip
    assert (train, val, test) == (IDS[:3], [IDS[3]], [IDS[5]])
    table = pq.read_table(directory.splits_dir / "assignment.parquet")
    assert table.column_names == ["id", "part", "reason"]
    assert table["part"].to_pylist() == ["train", "train", "train", "val", None, "test"]


def test_folds_have_a_folder_each(directory):
    names = save(split_of(THREE), directory)
    assert names == sorted(
        ["splits/assignment.parquet", "splits/summary.json"]
        + [f"splits/fold_{k}/{name}" for k in range(3) for name in LISTS]
    )
    assert json.loads(directory.path("splits/fold_2/test_ids.json").read_text("utf-8")) == [IDS[1], IDS[3]]
    assert json.loads(directory.path("splits/fold_1/val_ids.json").read_text("utf-8")) == []
    table = pq.read_table(directory.splits_dir / "assignment.parquet")
    assert table.column_names == ["id", "fold_0", "fold_1", "fold_2", "reason"]


def test_lists_of_an_earlier_split_do_not_stay(directory):
    def on_disk():
        return sorted(
            path.relative_to(directory.root).as_posix()
            for path in directory.splits_dir.rglob("*")
            if path.is_file()
        )

    for folds in (THREE, SINGLE, THREE[:2]):
        assert save(split_of(folds), directory) == on_disk()
    assert not (directory.splits_dir / "fold_2").exists()


def test_the_same_record_gives_the_same_bytes(directory, tmp_path):
    other = ExperimentDir(tmp_path / "elsewhere", "exp-2")
    record = split_of(THREE)
    sliced = pa.concat_arrays([pa.array(["x"]), record.ids])[1:]
    names = save(record, directory)
    save(Split(sliced, list(record.folds), record.reasons, record.info), other)
    for name in names:
        assert directory.path(name).read_bytes() == other.path(name).read_bytes()


@pytest.mark.parametrize("name", ["assignment.parquet", "summary.json"])
def test_a_missing_or_damaged_file_is_named(directory, name):
    save(split_of(SINGLE), directory)
    path = directory.splits_dir / name
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(CorruptArtifact, match="Run the split stage of exp-1 again"):
        load(directory)
    path.unlink()
    with pytest.raises(MissingArtifact, match=f"{name} is not there. Run the split stage of exp-1 again"):
        load(directory)


def test_an_assignment_without_parts_or_with_other_words_is_noticed(directory):
    save(split_of(SINGLE), directory)
    path = directory.splits_dir / "assignment.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["part"]), path)
    with pytest.raises(CorruptArtifact, match="no column `part`"):
        load(directory)
    pq.write_table(table.set_column(1, "part", pa.array(["learn"] * len(IDS))), path)
    with pytest.raises(CorruptArtifact, match="'learn'"):
        load(directory)
