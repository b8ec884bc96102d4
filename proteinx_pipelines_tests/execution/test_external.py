"""Outside inputs of a key: folders of checkpoints, plugins' versions, and remembered digests of files."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines import metrics
from proteinx_pipelines.execution.outside_inputs import outside_inputs, stale_digests
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.stages.train.prior_default import default_sha256

Inputs = Callable[..., dict[str, str]]


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Inputs of a stage's key with these flags; their paths are taken as they are."""

    def inputs(stage: str, **flags: Any) -> dict[str, str]:
        return outside_inputs(
            stage,
            parse_flags({"data.source": "TOY", **flags}),
            lambda _name, text: None if text is None else Path(text),
            tmp_path / "store",
        )

    return inputs


def checkpoint(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_a_folder_of_checkpoints_enters_the_key_with_what_training_reads_of_it(
    tmp_path: Path, inputs: Inputs
) -> None:
    """Only a file did: new checkpoints under the same name were taken for the old ones."""
    folder = tmp_path / "ckpts"
    named = {"model.name": "mlp", "train.ckpt_path": str(folder)}
    seen = []
    for content in (b"one", b"three"):
        checkpoint(folder / "fold_0" / "last.ckpt", content)
        seen.append(inputs("train", **named)["file:train.ckpt_path"])
    (folder / "fold_0").rename(folder / "fold_1")
    seen.append(inputs("train", **named)["file:train.ckpt_path"])
    checkpoint(folder / "last.ckpt", b"one")
    seen.append(inputs("train", **named)["file:train.ckpt_path"])
    assert len(set(seen)) == 4
    checkpoint(folder / "epoch7.ckpt", b"nobody continues from this one")
    assert inputs("train", **named)["file:train.ckpt_path"] == seen[-1]


def test_each_file_of_a_list_enters_the_key_and_a_missing_one_does_not(
    tmp_path: Path, inputs: Inputs
) -> None:
    checkpoint(tmp_path / "a.csv", b"mutant\nA1C\n")
    checkpoint(tmp_path / "b.csv", b"mutant\nA1D\n")
    paths = [str(tmp_path / name) for name in ("a.csv", "gone.csv", "b.csv")]
    asked = {"design.library": "file", "design.path": paths}
    before = inputs("design", **asked)
    assert set(before) == {"file:design.path[0]", "file:design.path[2]"}
    checkpoint(tmp_path / "b.csv", b"mutant\nA1E, another\n")
    after = inputs("design", **asked)
    assert after["file:design.path[0]"] == before["file:design.path[0]"]
    assert after["file:design.path[2]"] != before["file:design.path[2]"]
    assert inputs("design", **{**asked, "design.path": paths[0]}) == {
        "file:design.path": before["file:design.path[0]"]
    }


def test_a_plugins_metric_enters_the_key_of_the_evaluation_with_its_version(
    inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, a repaired metric was shown with the values of the broken one."""
    asked = {"evaluate.metrics": ["spearman", "first_target"]}
    built_in = dict(metrics._registered)
    for version in ("1", "2"):
        monkeypatch.setattr(metrics, "_registered", dict(built_in))
        metrics.register("first_target", lambda target, prediction: target[0], version=version)
        found = inputs("evaluate", **asked)
        assert {name: found[name] for name in found if name != "flags"} == {"plugin:first_target": version}


def test_a_damaged_memo_of_a_digest_is_not_the_end_of_an_experiment(tmp_path: Path, inputs: Inputs) -> None:
    checkpoint(tmp_path / "last.ckpt", b"one")
    named = {"model.name": "mlp", "train.ckpt_path": str(tmp_path / "last.ckpt")}
    expected = inputs("train", **named)
    (memo,) = (tmp_path / "store" / "digests").iterdir()
    for text in ("", "{", "[]", "{}"):
        memo.write_text(text, encoding="utf-8")
        assert inputs("train", **named) == expected
        assert inputs("train", **named) == expected


def test_only_digests_of_files_as_they_are_now_are_worth_keeping(tmp_path: Path, inputs: Inputs) -> None:
    """One memo more for each changed file, and nothing ever removed them."""
    for name in ("changed", "gone", "kept"):
        checkpoint(tmp_path / name, b"one")
        inputs("train", **{"model.name": "mlp", "train.ckpt_path": str(tmp_path / name)})
    assert list(stale_digests(tmp_path / "store")) == []
    (tmp_path / "gone").unlink()
    checkpoint(tmp_path / "changed", b"three")
    os.utime(tmp_path / "changed", (1000, 1000))
    memos = set((tmp_path / "store" / "digests").iterdir())
    stale = set(stale_digests(tmp_path / "store"))
    (kept,) = memos - stale
    assert str(tmp_path / "kept") in kept.read_text(encoding="utf-8")


def test_a_prior_enters_the_key_of_the_training_with_its_content(tmp_path: Path, inputs: Inputs) -> None:
    file, seen = tmp_path / "our.prior", []
    for content in (b"one", b"other"):
        file.write_bytes(content)
        seen.append(inputs("train", **{"model.name": "gp", "model.prior": str(file)})["file:model.prior"])
    assert len(set(seen)) == 2
    default = inputs("train", **{"model.name": "gp", "model.prior": "default"})
    assert default == {"prior:default": default_sha256()}
    assert inputs("train", **{"model.name": "gp", "model.prior": "none"}) == {}
    assert inputs("train", **{"model.name": "ridge", "model.prior": "default"}) == {}
    assert inputs("split", **{"model.name": "gp", "model.prior": "default"}) == {}
