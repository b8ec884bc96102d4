"""Ten messages while the node's parts are killed, two at once among them, and stopped: the short form of `make chaos`.

The strong form is `make chaos MESSAGES=200`; deaths at each single point are in `test_crash_points`.
"""

from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node

pytestmark = [pytest.mark.story, pytest.mark.timeout(900)]
SEED = 20


def test_ten_messages_under_kills_get_one_right_result_each(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        campaign = Campaign(
            node, messages=10, every_s=4.0, seed=SEED, most_kills=7, faults=("kill", "two", "stop")
        )
        assert campaign.run(within_s=600) == []
    finally:
        node.stop()
