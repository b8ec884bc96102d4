"""Two parts of a node killed at the same moment, again and again: each message has one right result.

A few are among the ten of `test_chaos`.
"""

from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=two_kills"),
]
MESSAGES = how_many(60)


def test_two_parts_killed_at_once_cost_nobody_a_result(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        campaign = Campaign(node, MESSAGES, every_s=8.0, seed=printed_seed("two_kills"), faults=("two",))
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        node.stop()
