"""The time of day set forward and back under a whole node (`set_clock.c`): each message has one right result.

With CHAOS_FULL only, on Linux with a C compiler. What the guards are, and what would happen without the steady clock,
is in `node/test_clock_jumps`.
"""

import random
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from proteinx_pipelines_tests.chaos.campaign import Campaign, campaign_node
from proteinx_pipelines_tests.chaos.trials import how_many, how_often, printed_seed

COMPILER = shutil.which("cc")
JUMPS_S = (-5 * 86_400, -7_200, -90, 90, 7_200, 5 * 86_400)
"""Offsets of the time of day, in seconds; the clock that only runs forward is never touched. Below the 7 days after
which keys of Redis expire: beyond them the markers of deliveries are gone, and results come again.
"""
MESSAGES = how_many(30)

pytestmark = [
    pytest.mark.story,
    pytest.mark.skipif(not how_often(0, 1), reason="takes minutes: make chaos SCENARIO=clock"),
    pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"),
]


@dataclass(kw_only=True)
class ClockCampaign(Campaign):
    """A campaign whose faults are jumps of the clock."""

    file: Path
    """The offset of the node's clock."""
    seen: set[int] = field(default_factory=set)

    def _strike(self, chance: random.Random) -> None:
        jump = chance.choice(JUMPS_S)
        set_clock(self.file, jump)
        self.kills[f"{jump:+d} s"] += 1
        if self.node.redis.exists("experiments:results"):
            self.seen.add(int(self.node.redis.time()[0] - time.time()))


def set_clock(file: Path, offset_s: int) -> None:
    """In one step: every process has the file mapped."""
    with file.open("r+b") as clock:
        clock.write(struct.pack("=q", offset_s))


def clock_library(folder: Path) -> Path:
    """`set_clock.c`, compiled."""
    found = folder / "set_clock.so"
    source = Path(__file__).with_name("set_clock.c")
    subprocess.run([str(COMPILER), "-O2", "-shared", "-fPIC", "-o", str(found), str(source)], check=True)
    return found


def test_a_clock_that_is_set_again_and_again_costs_nobody_a_result(tmp_path: Path) -> None:
    file = tmp_path / "offset"
    file.write_bytes(bytes(8))
    workdir = tmp_path / "w"
    workdir.mkdir()
    node = campaign_node(workdir, LD_PRELOAD=str(clock_library(tmp_path)), SET_CLOCK_FILE=str(file))
    node.start()
    try:
        campaign = ClockCampaign(node, MESSAGES, every_s=5.0, seed=printed_seed("clock"), file=file)
        assert campaign.run(within_s=300 + 90.0 * MESSAGES) == []
    finally:
        set_clock(file, 0)
        node.stop()
    assert any(abs(offset) > 60 for offset in campaign.seen), "the clock was never seen to jump"
