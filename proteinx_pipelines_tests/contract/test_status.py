"""The status as a hash of Redis: texts there and back."""

import pytest

from proteinx_pipelines.contract.status import Status


def test_a_hash_is_read_back_as_it_was_written():
    status = Status(
        state="RUNNING", stage="train", progress=0.5, note="epoch 3", generation=2, attempt=1, position=0, error=None,
        node="node-1", updated_at="2026-03-01T12:00:00.000+00:00", schema_version=1,
    )  # fmt: skip
    fields = status.to_hash()
    assert set(map(type, fields.values())) == {str}
    assert Status.from_hash({name.encode(): value.encode() for name, value in fields.items()}) == status


def test_a_change_carries_what_it_sets_and_nothing_else():
    assert Status(state="PENDING", position=3).to_hash() == {"state": "PENDING", "position": "3"}


def test_a_hash_of_another_version_or_with_other_words_is_refused():
    for wrong in ({"schema_version": "2"}, {"schema_version": "x"}, {"state": "DONE"}, {"progress": "half"}):
        with pytest.raises(ValueError, match=r"schema_version|state|progress|int\(\)"):
            Status.from_hash({"state": "RUNNING", **wrong})
