import json

import building
import pytest
import torch

from proteinx_pipelines.errors import Cancelled, CorruptArtifact
from proteinx_pipelines.experiment_dir import files
from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO

IO = AtomicCheckpointIO()


def checkpoint(step):
    return {"state_dict": {"w": torch.full((3,), float(step))}, "global_step": step}


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_a_checkpoint_is_read_back(tmp_path):
    IO.save_checkpoint(checkpoint(7), tmp_path / "new" / "last.ckpt")
    assert IO.load_checkpoint(tmp_path / "new" / "last.ckpt")["global_step"] == 7


def test_a_damaged_last_checkpoint_gives_way_to_the_newest_good_one(tmp_path, caplog):
    for step in (1, 3, 2):
        IO.save_checkpoint(checkpoint(step), tmp_path / f"epoch{step}.ckpt")
    IO.save_checkpoint(checkpoint(4), tmp_path / "last.ckpt")
    damage(tmp_path / "last.ckpt")
    assert IO.load_checkpoint(tmp_path / "last.ckpt")["global_step"] == 3
    assert "last.ckpt has other bytes than manifest.json records" in caplog.text
    damage(tmp_path / "epoch3.ckpt")
    assert IO.load_checkpoint(tmp_path / "last.ckpt")["global_step"] == 2


def test_a_checkpoint_that_was_asked_for_by_name_has_no_substitute(tmp_path):
    IO.save_checkpoint(checkpoint(1), tmp_path / "epoch1.ckpt")
    IO.save_checkpoint(checkpoint(2), tmp_path / "epoch2.ckpt")
    damage(tmp_path / "epoch2.ckpt")
    with pytest.raises(CorruptArtifact, match=r"epoch2\.ckpt has other bytes.*Name another checkpoint"):
        IO.load_checkpoint(tmp_path / "epoch2.ckpt")


@pytest.mark.parametrize("moment", ["before the manifest", "between manifest and rename", "after the rename"])
def test_a_crash_at_any_moment_leaves_a_checkpoint_that_can_be_read(tmp_path, monkeypatch, moment):
    path = tmp_path / "last.ckpt"
    IO.save_checkpoint(checkpoint(1), path)
    with monkeypatch.context() as patch:
        if moment == "before the manifest":
            patch.setattr(torch, "save", _crash)
        elif moment == "between manifest and rename":
            patch.setattr(type(path), "replace", _crash_on("last.ckpt", type(path).replace))
        else:
            patch.setattr(files, "sync_folder", _crash_on("", files.sync_folder, after=2))
        with pytest.raises(Cancelled):
            IO.save_checkpoint(checkpoint(2), path)
    expected = 2 if moment == "after the rename" else 1
    assert IO.load_checkpoint(path)["global_step"] == expected
    assert {one.name for one in tmp_path.iterdir()} == {"last.ckpt", "manifest.json"}


def _crash(*_):
    raise Cancelled("crash")


def _crash_on(name, original, after=0):
    calls = []

    def replace(first, *rest):
        calls.append(1)
        if (name and rest[0].name == name) or (not name and len(calls) >= after):
            raise Cancelled("crash")
        return original(first, *rest)

    return replace


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {}, "code": building.Notebook()}, path)
    with pytest.raises(CorruptArtifact, match="not a checkpoint of tensors and plain values"):
        IO.load_checkpoint(path)
    with pytest.raises(ValueError, match="would run code"):
        IO.load_checkpoint(path, weights_only=False)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / "some.ckpt").write_bytes(content)
    with pytest.raises(CorruptArtifact, match=r"some\.ckpt"):
        IO.load_checkpoint(tmp_path / "some.ckpt")


def test_a_removed_checkpoint_leaves_the_manifest(tmp_path):
    IO.save_checkpoint(checkpoint(1), tmp_path / "a.ckpt")
    IO.save_checkpoint(checkpoint(2), tmp_path / "b.ckpt")
    IO.remove_checkpoint(tmp_path / "a.ckpt")
    IO.remove_checkpoint(tmp_path / "a.ckpt")
    assert {one.name for one in tmp_path.iterdir()} == {"b.ckpt", "manifest.json"}
    assert set(json.loads((tmp_path / "manifest.json").read_text())) == {"b.ckpt"}
