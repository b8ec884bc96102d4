"""`proteinx up` itself killed and started again, again and again: each message has one right result.

Once is in `story/test_up`. The guard that it relies on, that parts die with their supervisor, has its twin in
`node/test_child`.
"""

from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=up_killed"),
]
MESSAGES = how_many(30)


def test_a_node_whose_supervisor_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    node = campaign_node(tmp_path)
    node.start()
    try:
        campaign = Campaign(node, MESSAGES, every_s=15.0, seed=printed_seed("up_killed"), faults=("up",))
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        node.stop()
