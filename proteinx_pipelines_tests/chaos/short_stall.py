"""A stopped part counts as stuck after 3 s instead of 60, so that a test takes less than a minute."""

from proteinx_pipelines.node.processes import part_watch

part_watch.FROZEN_S = 3.0
