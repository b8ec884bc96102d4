"""Properties of a stored generation: its flags as a tree, parsed once."""

from typing import Any

import pytest

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.ledger import generation as module
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger

FLAGS = parse_flags({"data.source": "GB1", "train.lr": 0.5, "ext": {"note": [1.0, 2, "x"]}})


def stored(tmp_path: Any, flags: dict[str, Any]) -> tuple[Ledger, Generation]:
    state = Ledger(tmp_path / "state.db")
    found = state.accept(
        experiment_id="a",
        message_key="a",
        message_id=None,
        priority=0,
        payload_ref=None,
        flags=flags,
        raw=b"{}",
    )
    return state, found


def test_flags_come_back_as_the_tree_that_was_accepted(tmp_path: Any) -> None:
    _, current = stored(tmp_path, FLAGS.nested())
    assert current.tree == FLAGS
    assert [type(value) for value in current.tree.ext["note"]] == [float, int, str]


def test_a_row_that_is_read_again_is_not_parsed_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message was parsed at five places, each a walk through the twelve modules of flags."""
    asked = []

    def counting(document: Any) -> Any:
        asked.append(document)
        return parse_flags(document)

    module._tree_of.cache_clear()
    monkeypatch.setattr(module, "parse_flags", counting)
    state, current = stored(tmp_path, FLAGS.nested())
    for _ in range(3):
        again = state.generation("a", 1)
        assert again is not None
        assert again.tree is current.tree
    assert len(asked) == 1


def test_flags_that_this_version_cannot_read_are_refused_each_time(tmp_path: Any) -> None:
    _, current = stored(tmp_path, {"data": {"source": "GB1"}, "gone": {"x": 1}})
    for _ in range(2):
        with pytest.raises(FlagError, match="gone"):
            _ = current.tree
