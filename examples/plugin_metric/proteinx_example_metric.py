"""A metric of your own, in the smallest plugin there is.

    PYTHONPATH=examples/plugin_metric PROTEINX_PLUGINS=proteinx_example_metric proteinx up

From then on an experiment may ask for it: `"evaluate.metrics": ["spearman", "hit_rate_20"]`. An installed
distribution needs no variable; it names the module in its own `pyproject.toml`:

    [project.entry-points."proteinx.plugins"]
    hit_rate = "proteinx_example_metric"
"""

import numpy as np

from proteinx_pipelines import register_metric


def hit_rate_20(target: np.ndarray, prediction: np.ndarray) -> float:
    """Of the 20 variants one would order first, the fraction that beats the measured median."""
    chosen = np.argsort(-prediction, kind="stable")[:20]
    return float(np.mean(target[chosen] > np.median(target)))


register_metric("hit_rate_20", hit_rate_20)
