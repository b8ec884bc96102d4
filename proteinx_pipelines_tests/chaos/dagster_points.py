"""Dagster's daemon dies at a named point of its own, once: loaded early into the node's processes by a test.

`<WORKDIR>/die_at.json` names the point and the signal; it is removed when the daemon reaches the point. With
`<WORKDIR>/unguarded`, the sensor notes a run as requested in the very evaluation that requests it.
"""

import json
import os
import sys
import time
from pathlib import Path

WORKDIR = Path(os.environ["PROTEINX_WORKDIR"])


def die_here(_flags, point):
    """In the place of Dagster's `check_for_debug_crash`."""
    order = WORKDIR / "die_at.json"
    wanted = json.loads(order.read_text(encoding="utf-8")) if order.is_file() else {}
    if wanted.get("point") == point:
        order.unlink()
        os.kill(os.getpid(), wanted["signal"])
        time.sleep(0.5)  # SIGTERM is heard by the main thread; this one goes on until it is stopped


def die_in_the_daemon():
    from dagster._daemon import sensor

    assert hasattr(sensor, "check_for_debug_crash")
    sensor.check_for_debug_crash = die_here


def forget_in_the_code_server():
    from proteinx_pipelines.node.lifecycle.dispatch import Dispatch

    ready = Dispatch._ready

    def ready_once(self):
        found = ready(self)
        for current, _ in found:
            self.state.attach_run(current, "requested")
        return found

    Dispatch._ready = ready_once


def start_each_part_by_itself():
    from proteinx_pipelines.node.processes.forked_parts import ForkedParts

    ForkedParts.are_possible = staticmethod(lambda: False)


if "up" in sys.orig_argv:
    start_each_part_by_itself()  # a forked part has the command line of the fork server when this is loaded
if sys.orig_argv[-1] == "daemon":
    die_in_the_daemon()
if sys.orig_argv[-1] == "code-server" and (WORKDIR / "unguarded").exists():
    forget_in_the_code_server()
