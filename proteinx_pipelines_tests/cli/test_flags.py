"""`proteinx flags` converts both ways, and flags are taken as the JSON itself wherever they are typed."""

import json

import pytest

from proteinx_pipelines.flags.parsing import parse_flags

NESTED = {"data": {"source": ["GB1"]}, "train": {"lr": 0.01}, "split": {"method": "modulo", "folds": 5}}


def test_json_to_lines_and_back_is_the_same_set(proteinx, folder) -> None:
    (folder / "flags.json").write_text(json.dumps(NESTED))
    lines = proteinx("flags", "--to-kv", "flags.json").output
    assert "train.lr=0.01\n" in lines
    assert "train.seed" not in lines
    (folder / "flags.txt").write_text(lines)
    assert json.loads(proteinx("flags", "--to-json", "flags.txt").output) == NESTED
    assert json.loads(proteinx("flags", "--to-dotted", "flags.txt").output)["split.folds"] == 5
    assert parse_flags(proteinx("flags", "--to-kv", "flags.txt", "--defaults").output) == parse_flags(NESTED)


def test_pairs_win_and_the_json_itself_is_taken(proteinx, folder) -> None:
    printed = proteinx("flags", "--to-json", json.dumps(NESTED), "train.lr=0.5").output
    assert json.loads(printed)["train"] == {"lr": 0.5}
    assert "did you mean" in proteinx("flags", "--to-kv", '{"data.sorce": "GB1"}', expect=1).output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--to-kv",), "FLAGS are missing"),
        (("--to-kv", "--to-json", "data.source=x"), "several outputs"),
        (("--defaults",), "--defaults belongs to"),
        (("--json", "nope"), "nope is not a flag group"),
        (("--to-kv", '{"data.source": "x"}', '{"train.lr": 1}'), "one file of flags is read"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(proteinx, folder, arguments, said) -> None:
    assert said in proteinx("flags", *arguments, expect=2).output


def test_flags_as_json_hold_each_flag(proteinx) -> None:
    rows = {row["name"]: row for row in json.loads(proteinx("flags", "train", "--json").output)}
    assert rows["train.lr"]["group"] == "train"
    assert set(rows) == {name for name in rows if name.startswith("train.")}


def test_train_takes_the_json_itself(proteinx, folder) -> None:
    """`--flags '{"train.lr": 0.1}'` was a file of that name that is not there."""
    printed = proteinx(
        "train", "--flags", '{"data": {"source": "GB1"}, "model.name": "rigde"}', expect=1
    ).output
    assert "did you mean" in printed.lower()
    assert "cannot be read" in proteinx("train", "--flags", "no.json", expect=1).output
