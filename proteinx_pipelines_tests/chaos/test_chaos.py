"""Ten messages while the node's parts are killed: the short form of `make chaos`.

The strong form is `make chaos MESSAGES=200`; deaths at each single point are in `test_crash_points`.
"""

from pathlib import Path

import pytest

from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines_tests.chaos.campaign import Campaign, environment
from proteinx_pipelines_tests.story.conftest import DEMO, Node

pytestmark = pytest.mark.story
SEED = 20


def test_ten_messages_under_kills_get_one_right_result_each(tmp_path: Path) -> None:
    import_file(tmp_path / "database.db", next(DEMO.glob("GB1*.csv.gz")))
    node = Node(tmp_path, environment(tmp_path))
    node.start()
    try:
        assert Campaign(node, messages=10, every_s=4.0, seed=SEED, most_kills=7).run(within_s=200) == []
    finally:
        node.stop()
