"""`make chaos`: many small experiments while parts of the node are killed at random.

    python -m proteinx_pipelines_tests.chaos.run --messages 200 --every 10 --seed 7

Ends with 0 when every message has exactly one right result and nothing is left behind; prints the problems otherwise.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from proteinx_pipelines_tests.chaos.campaign import FAULTS, Campaign, campaign_node


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--every", type=float, default=10.0, help="mean seconds between two kills")
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument(
        "--faults", default="kill,two,stop", help=f"of {', '.join(FAULTS)}, separated by commas"
    )
    parser.add_argument("--within", type=float, default=None, help="give up after so many seconds")
    parser.add_argument(
        "--workdir", type=Path, default=None, help="default: a temporary folder, kept on failure"
    )
    given = parser.parse_args()
    workdir = given.workdir or Path(tempfile.mkdtemp(prefix="proteinx-chaos-"))
    workdir.mkdir(parents=True, exist_ok=True)
    node = campaign_node(workdir)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    node.start()
    try:
        faults = given.faults.split(",")
        problems = Campaign(node, given.messages, given.every, seed, faults=faults).run(
            given.within or 300 + 90.0 * given.messages
        )
    finally:
        node.stop()
    good = "every message has one right result; nothing lost, nothing doubled, no overlap"
    sys.stdout.write("\n".join([*(problems or [good]), f"WORKDIR: {workdir}", ""]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
