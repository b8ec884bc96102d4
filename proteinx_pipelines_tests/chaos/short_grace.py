"""A stage that does not listen is killed after 4 s instead of 10, so that a test waits less; listening takes one."""

from proteinx_pipelines.node.lifecycle import stopper

stopper.GRACE_S = 4.0
