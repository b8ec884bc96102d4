"""FLIP's GB1 splits through queue messages, beside the published values."""

from collections.abc import Callable
from pathlib import Path

import pytest

from proteinx_pipelines_tests.story.conftest import Node

pytestmark = [pytest.mark.story, pytest.mark.data]
PUBLISHED = {"one_vs_rest": 0.279, "two_vs_rest": 0.594, "three_vs_rest": 0.755}
"""Test Spearman of one-hot ridge, alpha 1.0 (Dallago et al. 2021, traced values)."""


def test_one_hot_ridge_on_flips_gb1_is_within_0_005_of_the_published_values(
    start_node: Callable[..., Node], shared_data: Path
) -> None:
    assays = shared_data / "assays"
    node = start_node(assays / "GB1_FLIP_four_sites.csv.gz", PROTEINX_DATA_ROOTS=str(shared_data))
    found = {}
    for column in PUBLISHED:
        flags = {
            "data": {"source": "GB1_FLIP_four_sites"},
            "split": {"method": "file", "path": str(assays / "GB1_FLIP_splits.csv.gz"), "column": column},
            "model": {"name": "ridge", "alpha": 1.0},
            "evaluate": {"bootstrap": 0, "plots": False},
        }
        result = node.run(f"flip-{column}", flags)
        assert result["status"] == "SUCCEEDED", result["error"]
        found[column] = result["summary"]["test/spearman"]
    assert found == pytest.approx(PUBLISHED, abs=0.005)
