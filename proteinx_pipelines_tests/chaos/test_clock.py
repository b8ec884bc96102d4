"""The machine's clock set forward and back under a whole node, by libfaketime: each message has one right result.

With CHAOS_FULL only, where libfaketime is installed (Debian: faketime). What the guards are, and what would happen
without the steady clock, is in `node/test_clock_jumps`.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
JUMPS_S = (-60 * 86_400, -7_200, -90, 90, 7_200, 60 * 86_400)
"""Offsets of the time of day, in seconds; the clock that only runs forward is never touched."""
MESSAGES = how_many(30)

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=clock"),
    pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime (Debian: apt install faketime)"),
]


@dataclass(kw_only=True)
class ClockCampaign(Campaign):
    """A campaign whose faults are jumps of the clock."""

    file: Path
    """The file in which libfaketime looks up the offset."""
    seen: set[int] = field(default_factory=set)

    def _strike(self, chance: random.Random) -> None:
        jump = chance.choice(JUMPS_S)
        set_clock(self.file, jump)
        self.kills[f"{jump:+d} s"] += 1
        if self.node.redis.exists("experiments:results"):
            self.seen.add(int(self.node.redis.time()[0] - time.time()))


def set_clock(file: Path, offset_s: int) -> None:
    """In one step: the processes read the file all the time."""
    partial = file.with_suffix(".new")
    partial.write_text(f"{offset_s:+d}s\n", encoding="ascii")
    partial.replace(file)


def test_a_clock_that_is_set_again_and_again_costs_nobody_a_result(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    set_clock(file, 0)
    workdir = tmp_path / "w"
    workdir.mkdir()
    node = campaign_node(
        workdir, LD_PRELOAD=str(LIBRARY), FAKETIME_TIMESTAMP_FILE=str(file), FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
    )  # fmt: skip
    node.start()
    try:
        campaign = ClockCampaign(node, MESSAGES, every_s=5.0, seed=printed_seed("clock"), file=file)
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        set_clock(file, 0)
        node.stop()
    assert any(abs(offset) > 60 for offset in campaign.seen), "the clock was never seen to jump"
