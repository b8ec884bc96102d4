"""Messages that Hypothesis makes: arbitrary bytes and JSON, good messages that were changed."""

import json
from typing import Any

from hypothesis import strategies as st

from proteinx_pipelines_tests.contract.hostile.case import envelope

GOOD = envelope(
    flags={"data.source": ["GB1"], "train": {"lr": 0.1, "target": "rank"}, "data.where": [
        {"column": "mut_num", "op": "in", "value": [1, 2]}], "ext": {"a": {"b": [1]}}},
    message_id="m-1", priority=1, payload_ref="a.csv", schema_version=1,
)  # fmt: skip
_FRAGMENTS = st.sampled_from(
    [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\u0000", b"\\ud800", b"\0", b"\xff",
     b"NaN", b"1e999", b"-", b"."]
)  # fmt: skip
_HOSTILE = st.sampled_from(
    [
        None,
        True,
        -1,
        2**63,
        10**30,
        1.5,
        float("nan"),
        "",
        "\0",
        "\ud800",
        "../x",
        [],
        {},
        [[]],
        {"": 1},
        "x" * 3000,
    ]
)
_FLAGS = st.sampled_from(
    ["data", "data.source", "data.where", "data.split", "split", "split.fractions", "model.hidden_dims", "train.lr",
     "train.logger", "trainer.devices", "trainer.max_time", "trainer", "evaluate.metrics", "run", "ext", "ext.x.y"]
)  # fmt: skip
_FIELDS = st.sampled_from(
    ["experiment_id", "message_id", "payload_ref", "priority", "schema_version", "flags", "x"]
)
_PARTS = st.sampled_from(
    [
        "..",
        ".",
        "/",
        "\\",
        "etc",
        "outside",
        "file://",
        "s3://",
        "a",
        "%2e",
        "~",
        "C:",
        "\0",
        "\n",
        "con",
        "é",
    ]
)
_PATHS = st.lists(_PARTS, max_size=6).map("".join)
_REFERENCES = st.sampled_from(
    [("split.path", {"split.method": "file", "split.column": "c"}), ("embedding.path", {"embedding.name": "file"}),
     ("train.ckpt_path", {"model.name": "mlp"})]
)  # fmt: skip


def _nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = _FIELDS | _FLAGS | st.text(max_size=8)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
        max_leaves=12,
    )


VALUES = _nested(_HOSTILE | st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20))


@st.composite
def broken_bytes(draw: st.DrawFn) -> bytes:
    """A good message with up to four pieces replaced."""
    raw = GOOD
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 6)))
        raw = raw[:start] + draw(_FRAGMENTS | st.binary(max_size=3)) + raw[end:]
    return raw


@st.composite
def changed_values(draw: st.DrawFn) -> bytes:
    """A good message with values of flags and fields replaced."""
    changed = draw(st.dictionaries(_FLAGS | st.text(max_size=8), VALUES, max_size=4))
    fields = draw(st.dictionaries(_FIELDS, VALUES, max_size=2))
    return envelope(**{"flags": {"data.source": "GB1", **changed}, **fields})


@st.composite
def wandering_references(draw: st.DrawFn) -> bytes:
    """A message with an id, a payload and a file flag made of the pieces of paths."""
    flag, needed = draw(_REFERENCES)
    chosen = {"data.source": "GB1", **needed, flag: draw(_PATHS)}
    return envelope(
        experiment_id=draw(st.just("ok") | _PATHS), payload_ref=draw(st.none() | _PATHS), flags=chosen
    )


MESSAGES = (
    st.binary(max_size=300) | st.text(max_size=100).map(str.encode)
    | VALUES.map(lambda value: json.dumps(value).encode()) | broken_bytes() | changed_values() | wandering_references()
)  # fmt: skip
"""All of them."""
