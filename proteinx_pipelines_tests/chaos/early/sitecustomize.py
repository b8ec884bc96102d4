"""Switches guards off for tests: Python imports this first in every process that has its folder on PYTHONPATH.

`CHAOS_EARLY` names the modules (beside the plugins of these tests), separated by commas. The node has no such switch.
"""

import importlib
import os

for name in filter(None, os.environ.get("CHAOS_EARLY", "").split(",")):
    importlib.import_module(name)
