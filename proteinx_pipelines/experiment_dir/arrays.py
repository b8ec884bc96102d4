"""Reads arrays from the bytes of a safetensors file, always in the order of their names.

The library's own `load` hands them out in another order each time; a program that goes through them, or takes the first
one, would then do something else each time. Writing needs no care: `safetensors.numpy.save` sorts by itself.
"""

import numpy as np


def read_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Arrays by their names, sorted.

    Raises:
        SafetensorError: the bytes are damaged.
    """
    from safetensors.numpy import load  # deferred: not needed to load definitions

    return dict(sorted(load(content).items()))
