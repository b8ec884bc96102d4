"""What a training finds in its process, and leaves as it was: random states, environment, loggers, warnings.

The next experiment runs in the same process.
"""

import logging
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_ENVIRONMENT = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "CUBLAS_WORKSPACE_CONFIG")
_EXPECTED_WARNINGS = (
    "does not have many workers",  # `train.num_workers` is a flag, and 0 is right for small tables
    "is smaller than the logging interval",  # small data have few steps; epoch metrics are always kept
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # between Lightning and torch: nothing to do here
)
"""Parts of warnings about deliberate choices of this module or of a flag."""


@contextmanager
def without_traces() -> Iterator[None]:
    """Restore process-wide settings changed by a training: the next experiment runs in the same process."""
    environment = {name: os.environ.get(name) for name in _ENVIRONMENT}
    deterministic = torch.are_deterministic_algorithms_enabled()
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
        torch.use_deterministic_algorithms(deterministic)
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's greetings (devices, tips) off the terminal, and the warnings of `_EXPECTED_WARNINGS` everywhere.

    Other handlers, such as that of `logs/train.log`, still receive Lightning's messages.
    """
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    own = [
        handler for logger in loggers for handler in logger.handlers if type(handler) is logging.StreamHandler
    ]
    levels = [handler.level for handler in own]
    try:
        for handler in own:
            handler.setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for text in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=f".*{text}")
            yield
    finally:
        for handler, level in zip(own, levels, strict=True):
            handler.setLevel(level)
