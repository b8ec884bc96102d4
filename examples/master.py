"""A Master in one page: puts an experiment on the queue and waits for its result, with a plain Redis client.

Nothing of ProteinX is imported: this is all that another program has to do. `proteinx up` prints the
address of its Redis.

    python examples/master.py --redis-url redis://127.0.0.1:6379/0 --id gb1-001 --flags examples/flags/ridge.json
"""

import argparse
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import redis

LOOK_S = 2
"""Longest wait of one blocking pop, in seconds: shorter than the client's own socket time-out."""


def main() -> int:
    """Send one experiment, print its progress and its result; 0 when it succeeded."""
    options = read_options()
    client = redis.Redis.from_url(options.redis_url, decode_responses=True)
    flags = json.loads(Path(options.flags).read_text(encoding="utf-8"))
    message = {
        "experiment_id": options.id,
        "flags": flags,
        "payload_ref": None,
        "message_id": options.message_id,  # the same message sent again is answered, not run again
        "schema_version": 1,
    }
    client.lpush(options.queue, json.dumps(message))
    print(f"sent {options.id} to {options.queue}", file=sys.stderr)
    result = wait_for_result(client, options)
    if result is None:
        print(f"no result within {options.timeout:.0f} s; is a node running?", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1))
    return 0 if result["status"] == "SUCCEEDED" else 1


def wait_for_result(client: "redis.Redis", options: argparse.Namespace) -> dict[str, Any] | None:
    """Take results off the list until ours comes. A real Master would store the others; here they are named."""
    deadline = time.monotonic() + options.timeout
    shown = None
    while time.monotonic() < deadline:
        popped = client.brpop(options.results, timeout=LOOK_S)
        if popped is not None:
            result = json.loads(popped[1])
            if result["message_id"] == options.message_id:
                return result
            print(f"took another result: {result['experiment_id']} {result['status']}", file=sys.stderr)
        status = client.hmget(
            f"{options.queue}:status:{options.id}", "state", "stage", "progress", "position"
        )
        if status != shown and any(status):
            shown = status
            print(
                "state {} stage {} progress {} position {}".format(*(value or "-" for value in status)),
                file=sys.stderr,
            )
    return None


def read_options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description="Send one experiment to a compute node and wait for its result."
    )
    parser.add_argument("--redis-url", default=os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
    parser.add_argument("--queue", default="experiments", help="list that the node takes from")
    parser.add_argument("--results", default="experiments:results", help="list that results arrive on")
    parser.add_argument("--id", required=True, help="experiment_id")
    parser.add_argument("--flags", required=True, help="JSON file with the flags")
    parser.add_argument(
        "--message-id", default=str(uuid.uuid4()), help="name of this message, for safe re-sending"
    )
    parser.add_argument("--timeout", type=float, default=600, help="longest wait, in seconds")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
