"""Parts of a node stopped for up to eight seconds and continued, again and again: each message has one right result.

A few are among the ten of `test_chaos`; parts that stay stopped are in `test_stopped_parts`.
"""

from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=stop_cont"),
]
MESSAGES = how_many(60)


def test_parts_that_are_stopped_and_continued_double_nothing(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        campaign = Campaign(node, MESSAGES, every_s=5.0, seed=printed_seed("stop_cont"), faults=("stop",))
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        node.stop()
