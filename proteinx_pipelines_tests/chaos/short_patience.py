"""A process without progress counts as stuck after 10 s instead of 60, so that a test takes less than a minute."""

from proteinx_pipelines.node.lifecycle import reconciler

reconciler.HANG_S = 10.0
